// Comes in: what the server says, and what a person chooses on the page.
// Goes out: one Store that holds both; it calls whoever watches a part of it when that part is another one.

import { nameOf } from "../logic/words.js";

/** @typedef {"mark" | "away" | "brush" | "eraser" | "hand"} Tool */

/**
 * A click or a box that waits for its mask.
 * @typedef {{frame: number, box: [number, number, number, number] | null, points: [number, number, 0 | 1][]}} Pending
 */

/** @type {import("./types.js").State} */
const NOTHING_YET = {
  revision: -1,
  objects: [],
  can_undo: false,
  can_redo: false,
  propagated: false,
  job: null,
  warnings: [],
  cache: { bytes: 0, limit: 0 },
  prepared: [],
};

export class Store {
  constructor() {
    /** @type {import("./types.js").Video | null} */
    this.video = null;
    /** @type {import("../logic/clip.js").Clip | null} */
    this.clip = null;
    /** @type {import("./types.js").State} */
    this.state = NOTHING_YET;
    /** @type {import("./types.js").Doubt[]} */
    this.doubts = [];
    /** Whether masks have changed since the server was asked for doubts. */
    this.doubtsAreOld = false;
    /** Frames of doubts that were looked at since the list came. @type {ReadonlySet<number>} */
    this.lookedAt = new Set();
    this.frame = 0;
    /** Id of the selected object; 0 for none, and for one that is to be made. */
    this.selected = 0;
    /** Whether what is said next is said of an object that is to be made. */
    this.makesNew = false;
    /** Rises each time a person asks for a new object. */
    this.newObjects = 0;
    /** Revision since which no mask has changed, but those that were made since then, by frame. */
    this._since = 0;
    /** @type {Map<number, number>} */
    this._made = new Map();
    /** @type {Tool} */
    this.tool = "mark";
    this.brushSize = 24;
    this.opacity = 0.45;
    this.masksShown = true;
    this.previews = true;
    /** Ids of objects that are not drawn. @type {ReadonlySet<number>} */
    this.hidden = new Set();
    this.playing = false;
    this.connected = true;
    /** Why the server does not tell what happens, in words. */
    this.trouble = "";
    /** A frame that could not be prepared; -1 for none. */
    this.unready = -1;
    this.touch = matchMedia("(pointer: coarse)").matches;
    /** Edits that the server has not answered yet. */
    this.busy = 0;
    /** Clicks and boxes among them. @type {readonly Pending[]} */
    this.pending = [];
    /** What has waited for long. @type {"click" | "box" | null} */
    this.waits = null;
    /** @type {{look: () => unknown[], act: () => void, seen: unknown[]}[]} */
    this._watchers = [];
    this._told = false;
  }

  /** Whether the server has opened the session, so that it is known what was marked. */
  get isOpen() {
    return this.state.revision >= 0;
  }

  /** The selected object. @returns {import("./types.js").StudioObject | undefined} */
  get object() {
    return this.state.objects.find((each) => each.id === this.selected);
  }

  /** What to call the selected object. */
  get objectName() {
    return this.object ? nameOf(this.object) : "the object";
  }

  /** Objects that are drawn, in rising order of id. */
  get drawn() {
    return this.masksShown ? this.state.objects.filter((each) => !this.hidden.has(each.id)) : [];
  }

  /** Doubts about objects that are there, the most doubtful first. */
  get doubtsNow() {
    return this.doubts.filter((each) => this.state.objects.some((object) => object.id === each.object));
  }

  /** Those of them that nobody has looked at. */
  get doubtsLeft() {
    return this.doubtsNow.filter((each) => !this.lookedAt.has(each.frame));
  }

  /**
   * Change fields of the store, and call those who watch them.
   * @param {Partial<Store>} changes
   */
  set(changes) {
    Object.assign(this, changes);
    this._tell();
  }

  /** @param {number} frame @returns {number} The revision in which its masks changed last, as far as that is known. */
  revisionOf(frame) {
    return Math.max(this._since, this._made.get(frame) ?? 0);
  }

  /** Masks of frames were made. @param {import("./types.js").Job} job */
  progress(job) {
    const revision = Math.max(job.revision ?? 0, this.state.revision);
    const frames = job.frames ?? (job.frame === undefined ? [] : [job.frame]);
    for (let frame = Math.min(...frames); frame <= Math.max(...frames); frame += this.clip.step) this._made.set(frame, revision);
    this.set({ state: { ...this.state, job, revision } });
  }

  /**
   * Take up what the server says, unless it is older than what is known. The revision does not tell which is older:
   * it also rises with each frame that is propagated.
   * @param {import("./types.js").State} state
   */
  take(state) {
    if (this._isOfAnotherRun(state)) {
      location.reload();
      return;
    }
    if (state.serial < this.state.serial) return;
    const revision = Math.max(state.revision, this.state.revision);
    const isSame = JSON.stringify(state.objects) === JSON.stringify(this.state.objects);
    // A mask may be another one though all that is said of the objects reads the same.
    this._since = revision;
    this._made.clear();
    const stays = state.objects.some((each) => each.id === this.selected);
    const other = this.isOpen ? state.objects[state.objects.length - 1] : state.objects[0];
    const selected = stays || this.makesNew ? this.selected : (other?.id ?? 0);
    const first = state.objects[0]?.keyframes[0]?.frame;
    const begins = !this.isOpen && this.frame === this.clip.start && first !== undefined;
    // Who watches the objects is called when something of them is another thing, not for each answer.
    const objects = isSame ? this.state.objects : state.objects;
    this.set({ state: { ...state, objects, revision }, selected, frame: begins ? first : this.frame });
  }

  /** Whether the server has started anew since the page was opened, perhaps with another film. */
  _isOfAnotherRun(state) {
    const run = this.video?.run;
    return run !== undefined && state.run !== undefined && state.run !== run;
  }

  /**
   * Call `act` now, and again whenever one of the things that `look` returns is another one.
   * @param {() => unknown[]} look
   * @param {() => void} act
   */
  watch(look, act) {
    this._watchers.push({ look, act, seen: look() });
    act();
  }

  /** Once all that is being changed has changed, call those whose part is another one. */
  _tell() {
    if (this._told) return;
    this._told = true;
    queueMicrotask(() => {
      this._told = false;
      for (const watcher of this._watchers) {
        const now = watcher.look();
        if (now.every((each, i) => Object.is(each, watcher.seen[i]))) continue;
        watcher.seen = now;
        watcher.act();
      }
    });
  }
}
