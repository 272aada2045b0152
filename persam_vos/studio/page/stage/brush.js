// Comes in: strokes of a brush or an eraser. Goes out: the object's whole mask as PNG, and the stroke on the canvas
// until the server's mask has come.

import { rgbOf } from "../logic/labels.js";
import { drawOver } from "./layers.js";

/** @typedef {import("../logic/view.js").Point} Point */

/** Colour for an object that is not there yet, and for what is rubbed out of a mask that has not come. */
const NEW = "#e69f00";
const RUBBED_OUT = "#202020";
const SKETCHED = 0.5;

/**
 * What one stroke makes of the mask.
 * @typedef {Object} Layer
 * @property {OffscreenCanvas} canvas Opaque where the object is.
 * @property {OffscreenCanvas} sketch Strokes, while the mask that they change has not come.
 * @property {number} frame
 * @property {number} id Of the object; 0 while it is being made.
 * @property {number} turn How many objects had been asked for when it was begun: without an id yet, it is of the latest one.
 * @property {boolean} isReady Whether the mask that it changes is drawn.
 * @property {Promise<void> | null} ready Ends when it is.
 * @property {Promise<unknown> | null} said Ends when the server has answered it, and all that was said before it.
 */

/** The mask that is being painted. */
export class Brush {
  /** @param {import("./stage.js").Stage} stage @param {import("../data/edits.js").Edits} edits */
  constructor(stage, edits) {
    this.stage = stage;
    this.store = stage.store;
    this.edits = edits;
    /** The latest one. @type {Layer | null} */
    this.layer = null;
    this.tint = new OffscreenCanvas(stage.frame.width, stage.frame.height);
    /** Strokes that the server has not answered. */
    this.open = 0;
    stage.painted = () => (this.isShown ? this.layer.id : 0);
    stage.painters.push((context, view) => this._draw(context, view));
  }

  /** Whether the painted mask is drawn instead of the server's. */
  get isShown() {
    return this.layer !== null && this.layer.isReady && this.layer.frame === this.store.frame;
  }

  /**
   * Begin a stroke.
   * @param {Point} at In pixels of the frame. @param {boolean} erases
   * @returns {{move: (at: Point) => void, end: () => void, cancel: () => void}}
   */
  begin(at, erases) {
    const { store } = this;
    const size = store.brushSize;
    const latest = this.layer;
    const before = latest && this._goesOn(latest) ? latest : null;
    const target = store.object?.id ?? this.edits.making;
    const canvas = new OffscreenCanvas(this.stage.frame.width, this.stage.frame.height);
    const [frame, id, turn] = [store.frame, store.selected, store.newObjects];
    /** @type {Layer} */
    const layer = { canvas, sketch: this._sketch(before), frame, id, turn, isReady: false, ready: null, said: null };
    const sketcher = layer.sketch.getContext("2d");
    const ink = erases ? RUBBED_OUT : (store.object?.color ?? NEW);
    drawStroke(sketcher, at, at, size, ink);
    const points = [at];
    this.layer = layer;
    this.open += 1;
    const context = canvas.getContext("2d");
    layer.ready = this._drawBase(context, before, frame, target).then(() => {
      layer.isReady = true;
      for (let i = 0; i < points.length; i += 1) drawStroke(context, points[Math.max(0, i - 1)], points[i], size, erases ? null : "#ffffff");
      this.stage.draw();
    });
    layer.ready.catch(() => {}); // who sends it is told
    const move = (to) => {
      points.push(to);
      if (layer.isReady) drawStroke(context, points[points.length - 2], to, size, erases ? null : "#ffffff");
      else drawStroke(sketcher, points[points.length - 2], to, size, ink);
      this.stage.draw();
    };
    const end = () => this._send(layer, points[points.length - 1], target);
    const cancel = () => this._cancel(layer, latest);
    return { move, end, cancel };
  }

  /** A canvas for strokes whose mask has not come, with those of another layer. @param {Layer | null} before */
  _sketch(before) {
    const { width, height } = this.stage.frame;
    const sketch = new OffscreenCanvas(width, height);
    if (before && !before.isReady) sketch.getContext("2d").drawImage(before.sketch, 0, 0);
    return sketch;
  }

  /** Whether a stroke that begins now changes what another one has made: the same object, and nothing was said since. */
  _goesOn({ frame, id, turn, said }) {
    const { store, edits } = this;
    return frame === store.frame && turn === store.newObjects && (id === store.selected || id === 0) && said === edits.last;
  }

  /** Send a mask; let it go once the server's is drawn. */
  async _send(layer, at, target) {
    const png = layer.ready.then(() => pngOf(layer.canvas));
    const answer = this.edits.paint(png, at, layer.frame, target);
    layer.said = this.edits.last;
    layer.id = (await answer) ?? 0;
    this._answered();
  }

  /** Go back to what was there before a stroke. */
  _cancel(layer, before) {
    if (this.layer === layer) this.layer = before;
    this._answered();
    this.stage.draw();
  }

  _answered() {
    this.open -= 1;
    const { layer } = this;
    if (this.open > 0 || layer === null) return;
    const stop = () => {
      if (this.layer !== layer) return;
      this.layer = null;
      this.stage.draw();
    };
    const { frame } = this.store;
    if (frame !== layer.frame) stop();
    else this.stage.frames.map(frame, this.store.revisionOf(frame)).then(stop, stop);
  }

  /** Draw the mask that the stroke changes: what was said before counts in it. */
  async _drawBase(context, before, frame, target) {
    if (before) {
      await before.ready;
      context.drawImage(before.canvas, 0, 0);
      return;
    }
    await this.edits.last;
    const { store, stage } = this;
    const id = await target;
    if (!id) return;
    const { shown } = stage;
    const isExact = frame === store.frame && shown.isCurrent && shown.map?.width === stage.frame.width;
    const map = isExact ? shown.map : await stage.frames.exactMap(frame, store.revisionOf(frame));
    const pixels = new Uint32Array(map.data.length);
    for (let i = 0; i < pixels.length; i += 1) if (map.data[i] === id) pixels[i] = 0xffffffff;
    context.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), map.width, map.height), 0, 0);
  }

  _draw(context, view) {
    const { store, stage } = this;
    if (this.layer?.frame !== store.frame) return;
    if (!this.layer.isReady) {
      context.globalAlpha = SKETCHED;
      drawOver(context, view, this.layer.sketch, stage.frame);
      context.globalAlpha = 1;
      return;
    }
    const { canvas } = this.layer;
    const color = store.object?.color ?? NEW;
    const painter = this.tint.getContext("2d");
    painter.globalCompositeOperation = "copy";
    painter.drawImage(canvas, 0, 0);
    painter.globalCompositeOperation = "source-in";
    painter.fillStyle = `rgb(${rgbOf(color).join(" ")} / ${Math.max(store.opacity, 0.3)})`;
    painter.fillRect(0, 0, canvas.width, canvas.height);
    drawOver(context, view, this.tint, stage.frame);
  }
}

/** Paint from one point to another, in pixels of the frame; with no ink it rubs out. */
function drawStroke(context, from, to, size, ink) {
  context.globalCompositeOperation = ink === null ? "destination-out" : "source-over";
  context.lineCap = "round";
  context.lineWidth = size;
  context.strokeStyle = ink ?? "#ffffff";
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x + 1e-3, to.y);
  context.stroke();
}

/** @param {OffscreenCanvas} canvas @returns {Promise<Blob>} White on black, without grey. */
function pngOf(canvas) {
  const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = image.data[4 * i + 3] > 127 ? 0xffffffff : 0xff000000;
  const target = new OffscreenCanvas(canvas.width, canvas.height);
  target.getContext("2d").putImageData(image, 0, 0);
  return target.convertToBlob({ type: "image/png" });
}
