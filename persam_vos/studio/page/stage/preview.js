// Comes in: where the mouse is. Goes out: what a click there would give, on the canvas, where that takes under 0.3 s.

import * as api from "../data/api.js";
import { decodeLabels } from "../data/frames.js";
import { distance, pixelAt } from "../logic/view.js";
import { drawPreview, tintOf } from "./layers.js";

/** Milliseconds that the mouse rests before a preview is asked for. */
const REST = 50;
/** Milliseconds that a preview may take; after a slower one there is none for a while. */
const SLOW = 300;
const PAUSE = 3000;
/** Milliseconds after which a frame that stays in sight is prepared. */
const STAYS = 200;
/** Colour for an object that is not there yet. */
const NEW = "#e69f00";
/** Pixels of the frame by which the mouse has to move for another preview. */
const MOVED = 2;

/** Shows beforehand what a click gives, and lets the server prepare the frame that is looked at. */
export class Preview {
  /** @param {import("./stage.js").Stage} stage @param {(words: string) => void} refuse Told why a frame cannot be prepared. */
  constructor(stage, refuse) {
    this.stage = stage;
    this.refuse = refuse;
    this.store = stage.store;
    /** @type {{map: import("../logic/labels.js").LabelMap, frame: number, tint: OffscreenCanvas} | null} */
    this.found = null;
    /** Where the mouse is, and whether a click there adds. @type {{x: number, y: number, positive: boolean} | null} */
    this.at = null;
    this.pausedUntil = 0;
    this.asking = false;
    this.rest = 0;
    this.stays = 0;
    stage.painters.unshift((context, view) => this._draw(context, view));
    const { store } = this;
    store.watch(() => [store.frame, store.playing, store.connected], () => this._seen());
    store.watch(() => [store.state.objects, store.frame, store.tool, store.selected], () => this.clear());
    store.watch(() => [this.isPrepared], () => this._ask());
  }

  /** Whether points on the current frame answer fast. */
  get isPrepared() {
    return this.store.state.prepared.includes(this.store.frame);
  }

  /** The mouse is at a place. @param {import("../logic/view.js").Point} at In pixels of the frame. @param {boolean} positive */
  hover(at, positive) {
    const pixel = pixelAt(at, this.stage.frame);
    if (this.at && this.at.positive === positive && distance(this.at, pixel) < MOVED) return;
    this.at = { ...pixel, positive };
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this._ask(), REST);
  }

  /** The mouse is elsewhere. */
  leave() {
    this.at = null;
    clearTimeout(this.rest);
    this.clear();
  }

  clear() {
    if (this.found === null) return;
    this.found = null;
    this.stage.draw();
  }

  async _ask() {
    const { store, at } = this;
    if (!at || this.asking || !store.previews || !store.masksShown || store.playing || store.busy > 0) return;
    if (!this.isPrepared || performance.now() < this.pausedUntil) return;
    const { frame, selected } = store;
    const { objects } = store.state;
    const begun = performance.now();
    this.asking = true;
    try {
      const id = store.object ? selected : null;
      const file = await api.preview(frame, id, [[at.x, at.y, at.positive ? 1 : 0]]);
      const map = file.size > 0 ? await decodeLabels(file) : null;
      const isLate = frame !== store.frame || objects !== store.state.objects || !this.at || store.busy > 0;
      if (map === null) this.found = null;
      else if (!isLate) this._take(map, frame);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.found = null; // nothing is found there, or the frame is not prepared any more
    }
    this.asking = false;
    if (performance.now() - begun > SLOW) this.pausedUntil = performance.now() + PAUSE;
    this.stage.draw();
    if (this.at && this.at !== at) this._ask();
  }

  /** Show what was found. */
  _take(map, frame) {
    const color = this.store.object?.color ?? NEW;
    this.found = { map, frame, tint: tintOf(map, [{ id: 255, color }], 0.35, this.found?.tint ?? null) };
  }

  /** Prepare a frame on which the eye rests. */
  _seen() {
    clearTimeout(this.stays);
    if (this.store.playing) return;
    const { frame } = this.store;
    this.stays = setTimeout(() => {
      if (!this.isPrepared) this._prepare(frame);
    }, STAYS);
  }

  async _prepare(frame) {
    const { store } = this;
    store.set({ unready: -1 });
    try {
      await api.prepare(frame);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      store.set({ unready: frame });
      if (error.status !== 0 && frame === store.frame) this.refuse(error.message);
    }
  }

  _draw(context, view) {
    if (!this.found || this.found.frame !== this.store.frame || this.store.playing) return;
    drawPreview(context, view, this.found.map, this.found.tint, this.stage.frame);
  }
}
