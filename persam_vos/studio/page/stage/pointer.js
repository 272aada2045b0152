// Comes in: events of mouse, pen and fingers on the canvas. Goes out: gestures, and what they say of objects.

import { drawBrush } from "./layers.js";
import { clickOrBox, pan, pinch, stroke } from "./gestures.js";

const [LEFT, MIDDLE, RIGHT] = [0, 1, 2];
/** How much a notch of the wheel zooms. */
const WHEEL = 0.0015;
const TRACKPAD_PINCH = 0.01;

/** What the pointer does on the canvas. */
export class Pointer {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {{edits: import("../data/edits.js").Edits, brush: import("./brush.js").Brush,
   *   preview: import("./preview.js").Preview, keys: {spaceIsDown: boolean, useSpace: () => void}}} parts
   */
  constructor(stage, { edits, brush, preview, keys }) {
    Object.assign(this, { stage, edits, brush, preview, keys, store: stage.store });
    /** Pointers that are down, and where. @type {Map<number, import("../logic/view.js").Point>} */
    this.down = new Map();
    /** @type {import("./gestures.js").Gesture | null} */
    this.gesture = null;
    this.pinching = null;
    /** Where the mouse is over the canvas. */
    this.over = null;
    const { canvas } = stage;
    const on = (name, act, options) => canvas.addEventListener(name, act, options);
    on("pointerdown", (event) => this._press(event));
    on("pointermove", (event) => this._move(event));
    on("pointerup", (event) => this._release(event));
    on("pointercancel", (event) => this._cancel(event));
    on("pointerleave", () => this._leave());
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this._wheel(event), { passive: false });
    stage.painters.push((context, view) => this._paint(context, view));
    this.store.watch(() => [this.store.tool, this.store.brushSize], () => this._tool());
  }

  /** Let go of what is being drawn. @returns {boolean} Whether there was anything. */
  cancel() {
    const was = this.gesture !== null;
    this.gesture?.cancel();
    this.gesture = null;
    return was;
  }

  _press(event) {
    if (event.button === MIDDLE) event.preventDefault(); // no scrolling by itself
    this.stage.canvas.setPointerCapture(event.pointerId);
    this.store.set({ touch: event.pointerType === "touch", playing: false });
    const place = this.stage.placeOf(event);
    this.down.set(event.pointerId, place);
    if (this.down.size === 2) {
      this.cancel();
      this.pinching = pinch(this.stage, ...this.down.values());
    } else if (this.down.size === 1) {
      this.gesture = this._begin(event, place);
    }
    this.stage.draw();
  }

  /** @returns {import("./gestures.js").Gesture | null} */
  _begin(event, place) {
    const { stage, store, edits, keys } = this;
    const takesAway = event.button === RIGHT || event.altKey || event.ctrlKey;
    if (event.button === MIDDLE || keys.spaceIsDown || store.tool === "hand") {
      keys.useSpace();
      return pan(stage, place);
    }
    if (event.button !== LEFT && event.button !== RIGHT) return null;
    if (stage.shown.isWaiting) {
      edits.refuse(`Frame ${store.frame} is not here yet: wait for its picture.`, stage.view.toFrame(place));
      return null;
    }
    if (store.tool === "brush" || store.tool === "eraser") {
      return stroke(stage, this.brush, place, (store.tool === "eraser") !== takesAway);
    }
    const positive = store.tool === "mark" && !takesAway;
    const click = (at) => edits.click(at, positive);
    return clickOrBox(stage, place, { click, box: positive ? (box) => edits.box(box) : null });
  }

  _move(event) {
    const place = this.stage.placeOf(event);
    if (this.down.has(event.pointerId)) this.down.set(event.pointerId, place);
    if (this.pinching) {
      if (this.down.size === 2) this.pinching.move(...this.down.values());
      return;
    }
    this.over = event.pointerType === "touch" ? null : place;
    if (this.gesture) {
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.gesture.move(this.stage.placeOf(each));
    } else {
      this._hover(event, place);
    }
    if (this._isPainting) this.stage.draw();
  }

  _release(event) {
    this.down.delete(event.pointerId);
    if (this.pinching) {
      if (this.down.size === 0) this.pinching = null;
      return;
    }
    const { gesture } = this;
    this.gesture = null;
    gesture?.end(this.stage.placeOf(event));
    this.stage.draw();
  }

  _cancel(event) {
    this.down.delete(event.pointerId);
    if (this.down.size === 0) this.pinching = null;
    this.cancel();
  }

  _leave() {
    this.over = null;
    this.preview.leave();
    this.stage.draw();
  }

  get _isPainting() {
    return this.store.tool === "brush" || this.store.tool === "eraser";
  }

  _hover(event, place) {
    const isMarking = this.store.tool === "mark" || this.store.tool === "away";
    if (event.pointerType === "touch" || !isMarking || !this.stage.hits(place) || this.keys.spaceIsDown) {
      this.preview.leave();
      return;
    }
    this.preview.hover(this.stage.view.toFrame(place), this.store.tool === "mark" && !event.altKey);
  }

  _wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    const delta = (event.deltaY || event.deltaX) * lines;
    if (event.shiftKey && this._isPainting) {
      const size = Math.round(this.store.brushSize * Math.exp(-delta * WHEEL));
      this.store.set({ brushSize: Math.min(Math.max(size, 1), 200) });
      return;
    }
    this.stage.zoom(Math.exp(-delta * (event.ctrlKey ? TRACKPAD_PINCH : WHEEL)), this.stage.placeOf(event));
  }

  _tool() {
    this.stage.canvas.dataset.tool = this.store.tool;
    if (this._isPainting) this.preview.leave();
    this.stage.draw();
  }

  _paint(context, view) {
    this.gesture?.paint?.(context, view);
    if (!this._isPainting || !this.over) return;
    drawBrush(context, view, view.toFrame(this.over), this.store.brushSize, this.store.tool === "eraser");
  }
}
