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
  }

  /** One more point on the selected object, or beside it; the first one makes an object. */
  click(at, positive) {
    const { frame, object } = this.store;
    return this._say(async () => api.click(object?.id ?? (await this._object()), frame, at, positive), at);
  }

  /** @param {[number, number, number, number]} box What was said of the object on this frame gives way to it. */
  box(box) {
    const { frame, object } = this.store;
    const corner = { x: box[0], y: box[1] };
    return this._say(async () => api.prompt(object?.id ?? (await this._object()), frame, { box, points: [] }), corner);
  }

  /** @param {Promise<Blob>} png The whole mask, white on black. @param {Point} at Where the brush was last. */
  paint(png, at) {
    const { frame, object } = this.store;
    return this._say(async () => api.promptMask(object?.id ?? (await this._object()), frame, await png), at);
  }

  /** The selected object is not in this frame. */
  absent() {
    const { frame, object } = this.store;
    if (!object) return this.refuse("There is no object yet: mark one first.");
    return this._say(() => api.prompt(object.id, frame, { absent: true }));
  }

  /** Take back what was said of the selected object on this frame. */
  forget() {
    const { frame, object } = this.store;
    if (!object?.keyframes.some((each) => each.frame === frame)) {
      return this.refuse("There is no keyframe of the selected object on this frame.");
    }
    return this._say(() => api.forgetPrompt(object.id, frame));
  }

  /** A new object, selected. If the last one is still empty, that one is selected instead. */
  newObject() {
    const empty = this.store.state.objects.find((each) => each.keyframes.length === 0);
    if (empty) return this.store.set({ selected: empty.id });
    this.store.set({ selected: 0, makesNew: true, newObjects: this.store.newObjects + 1 });
    return this._say(() => this._added());
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

  /** The id of an object for what was said without one: the first such word makes it, the others mean the same one. */
  async _object() {
    if (!this.store.object) this.store.take(await this._added());
    return this.store.selected;
  }

  async _added() {
    const state = await api.addObject();
    this.store.set({ selected: state.id, makesNew: false });
    return state;
  }

  /** Say it after all that was said before; tell a refusal. */
  _say(ask, at) {
    const { store } = this;
    store.set({ busy: store.busy + 1 });
    this.last = this.last.then(async () => {
      try {
        store.take(await ask());
      } catch (error) {
        if (!(error instanceof api.ApiError)) throw error;
        store.set({ makesNew: false });
        this.refuse(error.message, at);
      } finally {
        store.set({ busy: store.busy - 1 });
      }
    });
    return this.last;
  }
}
