// Comes in: the store, and the frames. Goes out: the canvas shows the current frame with its masks and prompts.

import { keyframeAt } from "../logic/keyframes.js";
import { View, isInside } from "../logic/view.js";
import { drawOutlines, drawOver, drawPicture, drawPrompts, tintOf } from "./layers.js";
import { Shown } from "./shown.js";

/** @typedef {(context: CanvasRenderingContext2D, view: View) => void} Painter */

/** The canvas on which objects are marked. */
export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("../data/store.js").Store} store
   * @param {import("../data/frames.js").Frames} frames
   */
  constructor(canvas, store, frames) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.store = store;
    this.frames = frames;
    this.frame = { width: store.video.width, height: store.video.height };
    this.size = { width: 1, height: 1 };
    this.view = View.fit(this.frame, this.size, store.video.pixel_aspect);
    this.fitted = true;
    /** Draw on top, in this order. @type {Painter[]} */
    this.painters = [];
    /** The object that a painter draws instead of its mask; 0 for none. */
    this.painted = () => 0;
    /** @type {OffscreenCanvas | null} */
    this.tint = null;
    this.tintOf = [];
    this.shown = new Shown(store, frames, () => this.draw());
    this._asked = false;
    new ResizeObserver(() => this._resize()).observe(canvas);
    store.watch(() => [store.frame, store.revisionOf(store.frame), store.state.objects.length === 0], () => this._look());
    store.watch(() => [store.state, store.pending, store.masksShown, store.hidden, store.opacity, store.selected], () => this.draw());
  }

  /** Show all of the frame. */
  fit() {
    this.fitted = true;
    this._move(View.fit(this.frame, this.size, this.view.aspect));
  }

  /** @param {number} factor @param {import("../logic/view.js").Point} at On the canvas; its middle if none is given. */
  zoom(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    this._move(this.view.zoomed(factor, at).within(this.frame, this.size));
  }

  /** @param {number} dx @param {number} dy Pixels (CSS). */
  pan(dx, dy) {
    this._move(this.view.moved(dx, dy).within(this.frame, this.size));
  }

  /** @param {{clientX: number, clientY: number}} event @returns {import("../logic/view.js").Point} On the canvas. */
  placeOf(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {import("../logic/view.js").Point} place On the canvas. @returns {boolean} Whether the frame is there. */
  hits(place) {
    return isInside(this.view.toFrame(place), this.frame);
  }

  /** Draw before the next picture of the screen. */
  draw() {
    if (this._asked) return;
    this._asked = true;
    requestAnimationFrame(() => {
      this._asked = false;
      this._draw();
    });
  }

  _draw() {
    const { context, view, shown } = this;
    const ratio = this.canvas.width / this.size.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.size.width, this.size.height);
    const picture = shown.drawable();
    if (picture) drawPicture(context, view, picture, this.frame);
    if (shown.map && shown.mapFrame === shown.frame) this._drawMasks();
    if (!shown.isWaiting) this._drawPrompts();
    for (const paint of this.painters) paint(context, view);
    this.canvas.classList.toggle("waiting", shown.isWaiting && !this.store.playing);
  }

  _drawMasks() {
    const { context, view, store, frame } = this;
    const { map } = this.shown;
    const painted = this.painted();
    const objects = store.drawn.filter((each) => each.id !== painted);
    const parts = [map, store.opacity, ...objects.map((each) => `${each.id}${each.color}`)];
    if (parts.length !== this.tintOf.length || parts.some((part, i) => part !== this.tintOf[i])) {
      this.tint = tintOf(map, objects, store.opacity, this.tint);
      this.tintOf = parts;
    }
    context.imageSmoothingEnabled = view.scale < 3;
    drawOver(context, view, this.tint, frame);
    drawOutlines(context, view, map, frame, objects, store.selected);
  }

  _drawPrompts() {
    const { store } = this;
    if (store.playing || !store.masksShown) return;
    for (const each of store.pending) {
      if (each.frame === store.frame) drawPrompts(this.context, this.view, each, store.object?.color ?? "#ffffff");
    }
    const keyframe = keyframeAt(store.object, store.frame);
    if (keyframe) drawPrompts(this.context, this.view, keyframe, store.object.color);
  }

  _move(view) {
    this.view = view;
    this.fitted = view.scale <= View.fit(this.frame, this.size, view.aspect).scale * 1.001;
    this._look();
  }

  _resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    this.size = { width, height };
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this._move(this.fitted ? View.fit(this.frame, this.size, this.view.aspect) : this.view.within(this.frame, this.size));
    this._draw();
  }

  /** Device pixels that the frame's width takes, as far as it is worth asking for. */
  get pictureWidth() {
    return this.frames.widthFor(this.frame.width * this.view.aspect * this.view.scale * devicePixelRatio);
  }

  _look() {
    if (this.size.width <= 1) return; // not laid out yet
    this.shown.update(this.pictureWidth);
  }
}
