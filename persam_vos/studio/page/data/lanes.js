// Comes in: which frames the timeline shows. Goes out: the scores of all objects on them, asked for again as they change.

import * as api from "./api.js";

/** Milliseconds between two questions while masks are being made. */
const APART = 700;

/** Scores of the frames in sight. */
export class Lanes {
  /** @param {import("./store.js").Store} store @param {() => void} onChange */
  constructor(store, onChange) {
    this.store = store;
    this.onChange = onChange;
    /** @type {Object<string, (number | null)[]>} By id of the object. */
    this.scores = {};
    /** Position of the first score. */
    this.first = 0;
    this.wanted = [0, 0];
    this.timer = 0;
    this.asking = false;
    store.watch(() => [store.state.revision, store.state.job, store.state.objects], () => this._soon());
  }

  /** @param {number} from @param {number} stop Positions in sight. */
  want(from, stop) {
    if (this.wanted[0] === from && this.wanted[1] === stop) return;
    this.wanted = [from, stop];
    this._soon(120);
  }

  _soon(delay = this.store.state.job ? APART : 60) {
    if (this.timer || this.asking) {
      this.again = true;
      return;
    }
    this.timer = setTimeout(() => this._ask(), delay);
  }

  async _ask() {
    this.timer = 0;
    const [from, stop] = this.wanted;
    const { clip, state } = this.store;
    if (stop <= from || state.objects.length === 0) return;
    this.asking = true;
    this.again = false;
    try {
      const answer = await api.lanes(clip.frameAt(from), clip.frameAt(stop - 1) + 1);
      this.scores = answer.scores;
      this.first = clip.positionOf(answer.start);
      this.onChange();
    } catch {
      this.again = false; // The next change asks again.
    }
    this.asking = false;
    if (this.again) this._soon();
  }
}
