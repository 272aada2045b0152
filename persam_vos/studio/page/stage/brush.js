// Comes in: strokes of a brush or an eraser. Goes out: the object's whole mask as PNG, and the stroke on the canvas
// until the server's mask has come.

import { rgbOf } from "../logic/labels.js";
import { drawOver } from "./layers.js";

/** @typedef {import("../logic/view.js").Point} Point */

/** The mask that is being painted. */
export class Brush {
  /** @param {import("./stage.js").Stage} stage @param {import("../data/edits.js").Edits} edits */
  constructor(stage, edits) {
    this.stage = stage;
    this.store = stage.store;
    this.edits = edits;
    /** @type {OffscreenCanvas | null} Opaque where the object is. */
    this.canvas = null;
    this.tint = new OffscreenCanvas(stage.frame.width, stage.frame.height);
    this.frame = -1;
    this.id = 0;
    /** How many objects had been asked for when it was begun: without an id yet, it is of the latest one. */
    this.turn = 0;
    /** Strokes that the server has not answered. */
    this.open = 0;
    stage.painted = () => (this.isShown ? this.id : 0);
    stage.painters.push((context, view) => this._draw(context, view));
  }

  /** Whether the painted mask is drawn instead of the server's. */
  get isShown() {
    return this.canvas !== null && this.frame === this.store.frame;
  }

  /**
   * Begin a stroke.
   * @param {Point} at In pixels of the frame. @param {boolean} erases
   * @returns {{move: (at: Point) => void, end: () => void, cancel: () => void}}
   */
  begin(at, erases) {
    const { store } = this;
    const size = store.brushSize;
    const isSame = this.isShown && this.turn === store.newObjects && (this.id === store.selected || this.id === 0);
    const before = isSame ? this.canvas : null;
    const canvas = new OffscreenCanvas(this.stage.frame.width, this.stage.frame.height);
    const points = [at];
    [this.canvas, this.frame, this.id] = [canvas, store.frame, store.selected];
    this.turn = store.newObjects;
    this.open += 1;
    const context = canvas.getContext("2d");
    let isReady = false;
    const ready = this._drawBase(context, before).then(() => {
      isReady = true;
      for (let i = 0; i < points.length; i += 1) drawStroke(context, points[Math.max(0, i - 1)], points[i], size, erases);
      this.stage.draw();
    });
    const move = (to) => {
      points.push(to);
      if (isReady) drawStroke(context, points[points.length - 2], to, size, erases);
      this.stage.draw();
    };
    const end = () => this._send(ready.then(() => pngOf(canvas)), points[points.length - 1], canvas);
    const cancel = () => this._answered(canvas, true);
    return { move, end, cancel };
  }

  /** Send a mask; let it go once the server's is drawn. */
  async _send(png, at, canvas) {
    const id = await this.edits.paint(png, at);
    if (this.canvas === canvas) this.id = id ?? 0;
    this._answered(canvas, false);
  }

  _answered(canvas, isCancelled) {
    this.open -= 1;
    if (this.open > 0 || this.canvas !== canvas) return;
    const stop = () => {
      if (this.canvas !== canvas) return;
      this.canvas = null;
      this.stage.draw();
    };
    const { frame } = this.store;
    if (isCancelled || frame !== this.frame) stop();
    else this.stage.frames.map(frame, this.store.revisionOf(frame)).then(stop, stop);
  }

  /** Draw the mask that the stroke changes. */
  async _drawBase(context, before) {
    if (before) return context.drawImage(before, 0, 0);
    const { store, stage } = this;
    if (!store.object) return undefined;
    const { id } = store.object;
    const shown = stage.shown.isCurrent ? stage.shown.map : null;
    const isExact = shown?.width === stage.frame.width;
    const map = isExact ? shown : await stage.frames.exactMap(store.frame, store.revisionOf(store.frame));
    const pixels = new Uint32Array(map.data.length);
    for (let i = 0; i < pixels.length; i += 1) if (map.data[i] === id) pixels[i] = 0xffffffff;
    context.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), map.width, map.height), 0, 0);
    return undefined;
  }

  _draw(context, view) {
    if (!this.isShown) return;
    const { store, stage, canvas } = this;
    const color = store.object?.color ?? "#e69f00";
    const painter = this.tint.getContext("2d");
    painter.globalCompositeOperation = "copy";
    painter.drawImage(canvas, 0, 0);
    painter.globalCompositeOperation = "source-in";
    painter.fillStyle = `rgb(${rgbOf(color).join(" ")} / ${Math.max(store.opacity, 0.3)})`;
    painter.fillRect(0, 0, canvas.width, canvas.height);
    drawOver(context, view, this.tint, stage.frame);
  }
}

/** Paint from one point to another, in pixels of the frame. */
function drawStroke(context, from, to, size, erases) {
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.lineCap = "round";
  context.lineWidth = size;
  context.strokeStyle = "#ffffff";
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
