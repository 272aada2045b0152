// Comes in: play and pause. Goes out: the store's frame moves at the film's speed, with masks; frames ahead are fetched.

import { framesAhead } from "../logic/ahead.js";

/** Frames that are fetched before the film begins, or goes on after a gap. */
const ENOUGH = 6;

/** Plays the film. It shows each frame at its time, and waits where frames do not come fast enough. */
export class Player {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./frames.js").Frames} frames
   * @param {() => number} width Of the pictures to ask for.
   */
  constructor(store, frames, width) {
    Object.assign(this, { store, frames, width });
    /** Seconds of the film at `begun`, in ms of the clock. */
    this.from = 0;
    this.begun = 0;
    this.isWaiting = false;
    this.loading = false;
    store.watch(() => [store.playing], () => this._switch());
  }

  toggle() {
    const { store } = this;
    const { clip } = store;
    if (!store.playing && store.frame === clip.last) store.set({ frame: clip.start });
    store.set({ playing: !store.playing });
  }

  _switch() {
    if (!this.store.playing) return;
    this._restart();
    requestAnimationFrame(() => this._tick());
  }

  /** Let the clock run from the frame that is shown. */
  _restart() {
    this.from = this.store.clip.timeOf(this.store.frame);
    this.begun = performance.now();
  }

  _tick() {
    const { store } = this;
    if (!store.playing) return;
    requestAnimationFrame(() => this._tick());
    this._fetchAhead();
    if (this.loading) return;
    const due = store.clip.frameDue(this.from + (performance.now() - this.begun) / 1000);
    if (due === store.frame) {
      if (due === store.clip.last) store.set({ playing: false });
      return;
    }
    const next = this._reachable(due);
    if (next === null) {
      this._waitFor(store.clip.stepped(store.frame, 1));
      return;
    }
    this._showSoon(next, next !== due);
  }

  /** The last frame up to one that is due that has been fetched; null if not even the next one has. */
  _reachable(due) {
    const { store } = this;
    let found = null;
    for (let frame = store.clip.stepped(store.frame, 1); frame <= due; frame += store.clip.step) {
      if (!this._isHere(frame)) break;
      found = frame;
      if (frame === store.clip.last) break;
    }
    return found;
  }

  _isHere(frame) {
    return this.frames.isWarm(frame, this.width(), this.store.revisionOf(frame), this.store.state.objects.length > 0);
  }

  /** Decode a frame, then show it. */
  async _showSoon(frame, isLate) {
    const { store, frames } = this;
    this.loading = true;
    try {
      const map = store.state.objects.length > 0 ? frames.map(frame, store.revisionOf(frame)) : null;
      await Promise.all([frames.picture(frame, this.width()), map]);
      if (!store.playing) return;
      store.set({ frame });
      if (isLate) this._restart();
    } catch (error) {
      this._stop(error);
    } finally {
      this.loading = false;
    }
  }

  /** Hold the film until some frames are here. */
  async _waitFor(frame) {
    this.loading = true;
    const { store } = this;
    const needed = Array.from({ length: ENOUGH }, (_, i) => store.clip.stepped(frame, i));
    try {
      await Promise.all(needed.map((each) => this._warm(each)));
    } catch (error) {
      this._stop(error);
    }
    this._restart();
    this.loading = false;
  }

  /** Stop because of an error, unless a request was given up for a more urgent one: the next tick asks again. */
  _stop(error) {
    if (error.name !== "AbortError") this.store.set({ playing: false });
  }

  _warm(frame) {
    const { store } = this;
    return this.frames.warm(frame, this.width(), store.revisionOf(frame), store.state.objects.length > 0);
  }

  _fetchAhead() {
    const { clip, frame } = this.store;
    const width = this.width();
    const bytesOf = (i) => this.frames.fileBytes(clip.stepped(frame, i), width);
    // Half of the room is left to frames that were shown, or else the next ones would be let go of first.
    const count = framesAhead(bytesOf, this.frames.pictures.files.limit / 2);
    for (let i = 1; i <= count; i += 1) {
      const next = clip.stepped(frame, i);
      if (!this._isHere(next)) this._warm(next).catch(() => {});
      if (next === clip.last) break;
    }
  }
}
