// Comes in: what a person says of an object on a frame. Goes out: it is said to the server, one after the other;
// the store takes up the answer, and a refusal is told where it was caused.

import * as api from "./api.js";
import { nextOf } from "../logic/keyframes.js";

/** @typedef {import("../logic/view.js").Point} Point */

/** All that changes objects and prompts. */
export class Edits {
  /**
   * @param {import("./store.js").Store} store
   * @param {(words: string, at?: Point) => void} refuse Told of a refusal; `at` is in pixels of the frame.
   */
  constructor(store, refuse) {
    this.store = store;
    this.refuse = refuse;
    /** Ends when all that was said so far is answered. */
    this.last = Promise.resolve();
    /** Id of the object that is being made, null if it cannot be. @type {Promise<number | null> | null} */
    this.making = null;
  }

  /** One more point on the selected object, or beside it; the first one makes an object. */
  click(at, positive) {
    const shown = { frame: this.store.frame, box: null, points: [[at.x, at.y, positive ? 1 : 0]] };
    return this._shows(shown, this._sayOfObject((id, frame) => api.click(id, frame, at, positive), at));
  }

  /** @param {[number, number, number, number]} box What was said of the object on this frame gives way to it. */
  box(box) {
    const ask = (id, frame) => api.prompt(id, frame, { box, points: [] });
    return this._shows({ frame: this.store.frame, box, points: [] }, this._sayOfObject(ask, { x: box[0], y: box[1] }));
  }

  /**
   * @param {Promise<Blob>} png The whole mask, white on black. @param {Point} at Where the brush was last.
   * @param {number} frame
   * @param {number | Promise<number | null> | null} object Its id; null for one that is to be made.
   * @returns {Promise<number | null>} Id of its object.
   */
  paint(png, at, frame, object) {
    return this._sayOfObject(async (id) => api.promptMask(id, frame, await png), at, object);
  }

  /** The selected object is not in this frame. */
  absent() {
    if (!this.store.object) return this.refuse("There is no object yet: mark one first.");
    return this._sayOfObject((id, frame) => api.prompt(id, frame, { absent: true }));
  }

  /** Take back what was said of the selected object on this frame. */
  forget() {
    const { frame, object } = this.store;
    if (!object?.keyframes.some((each) => each.frame === frame)) {
      return this.refuse("There is no keyframe of the selected object on this frame.");
    }
    return this._say(() => api.forgetPrompt(object.id, frame));
  }

  /** A new object, selected. If one is still empty, that one is selected instead. */
  newObject() {
    const { store } = this;
    const empty = store.busy === 0 && store.state.objects.find((each) => each.keyframes.length === 0);
    if (empty) return store.set({ selected: empty.id });
    store.set({ newObjects: store.newObjects + 1 });
    return this._make();
  }

  rename(id, name) {
    return this._say(() => api.changeObject(id, { name }));
  }

  recolor(id, color) {
    return this._say(() => api.changeObject(id, { color }));
  }

  remove(id) {
    const others = this.store.state.objects.map((each) => each.id).filter((each) => each !== id);
    if (id === this.store.selected) this.store.set({ selected: nextOf(others, id, -1) ?? others[0] ?? 0 });
    return this._say(() => api.removeObject(id));
  }

  undo() {
    return this._say(() => api.undo());
  }

  redo() {
    return this._say(() => api.redo());
  }

  /** Make an object; it is selected once it is there. @returns {Promise<number | null>} Its id; null if it cannot be. */
  _make() {
    const { store } = this;
    store.set({ selected: 0, makesNew: true });
    const making = this._say(() => api.addObject()).then((state) => {
      if (this.making === making) {
        this.making = null;
        store.set({ makesNew: false, selected: store.selected || (state?.id ?? 0) });
      }
      return state?.id ?? null;
    });
    this.making = making;
    return making;
  }

  /**
   * Say something of the object that is selected now, or is being made; without any, one is made.
   * @param {(id: number, frame: number) => Promise<import("./types.js").State>} ask
   * @param {Point} [at]
   * @param {number | Promise<number | null> | null} [given] Id of another object than the selected one.
   * @returns {Promise<number | null>} Id of the object.
   */
  async _sayOfObject(ask, at, given = null) {
    const { frame, object } = this.store;
    const id = given ?? object?.id ?? this.making ?? this._make();
    await this._say(async () => ((await id) === null ? null : ask(await id, frame)), at);
    return id;
  }

  /** Show a click or a box until it is answered. @param {import("./store.js").Pending} pending @param {Promise<any>} answer */
  async _shows(pending, answer) {
    const { store } = this;
    store.set({ pending: [...store.pending, pending] });
    try {
      return await answer;
    } finally {
      store.set({ pending: store.pending.filter((each) => each !== pending) });
    }
  }

  /** Take up an answer; what it warns of for the first time is told where it was caused. */
  _take(state, known, at) {
    const news = state.warnings.filter((each) => !known.has(each));
    this.store.take(state);
    // What is told is closed when the store tells of other objects, which it does in a microtask.
    if (news.length > 0) setTimeout(() => this.refuse(`Done, but: ${news.join("; ")}`, at));
  }

  /** Say it after all that was said before; tell a refusal. @returns {Promise<any>} The answer; null for a refusal. */
  _say(ask, at) {
    const { store } = this;
    store.set({ busy: store.busy + 1 });
    const answer = this.last.then(async () => {
      try {
        // The events tell of the state as well, perhaps before this answer comes.
        const known = new Set(store.state.warnings);
        const state = await ask();
        if (state !== null) this._take(state, known, at);
        return state;
      } catch (error) {
        if (!(error instanceof api.ApiError)) throw error;
        this.refuse(error.message, at);
        return null;
      } finally {
        store.set({ busy: store.busy - 1 });
      }
    });
    this.last = answer.catch(() => {});
    return answer;
  }
}
