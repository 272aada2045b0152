// Comes in: keys on the canvas. Goes out: a crosshair that marks objects without a mouse.

import { drawCrosshair } from "./layers.js";

/** Pixels of the frame that an arrow key moves it, as a share of the frame's width; a tenth of that with Shift. */
const STRIDE = 0.02;
/** Canvas pixels between the crosshair and the edge, below which the picture moves along. */
const MARGIN = 24;

/** A pointer for the keyboard. */
export class Crosshair {
  /** @param {import("./stage.js").Stage} stage @param {import("../data/edits.js").Edits} edits @param {import("./preview.js").Preview} preview */
  constructor(stage, edits, preview) {
    Object.assign(this, { stage, edits, preview });
    /** Where it points, in pixels of the frame; null while it is not used. @type {import("../logic/view.js").Point | null} */
    this.at = null;
    stage.painters.push((context, view) => this.at && drawCrosshair(context, view, this.at));
    stage.canvas.addEventListener("blur", () => this._end());
    stage.canvas.addEventListener("pointerdown", () => this._end());
  }

  /** @param {KeyboardEvent} event On the canvas. @returns {boolean} Whether the key was meant for the crosshair. */
  press(event) {
    if (event.ctrlKey || event.metaKey) return false;
    if (this.at === null) {
      if (event.key !== "Enter") return false;
      this._point(this.stage.view.toFrame({ x: this.stage.size.width / 2, y: this.stage.size.height / 2 }));
      return true;
    }
    const { width } = this.stage.frame;
    const stride = Math.max(1, Math.round(width * STRIDE * (event.shiftKey ? 0.1 : 1)));
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way) this._point({ x: this.at.x + way[0] * stride, y: this.at.y + way[1] * stride });
    else if (event.key === "Enter" && this.stage.shown.isWaiting) this.edits.refuse("The picture of this frame is not here yet.", this.at);
    else if (event.key === "Enter") this.edits.click(this.at, !(event.altKey || event.shiftKey));
    else if (event.key === "Escape") this._end();
    else return false;
    return true;
  }

  _point({ x, y }) {
    const { width, height } = this.stage.frame;
    this.at = { x: clamp(Math.round(x), 0, width - 1), y: clamp(Math.round(y), 0, height - 1) };
    const place = this.stage.view.toCanvas(this.at);
    const { size } = this.stage;
    const dx = clamp(place.x, MARGIN, size.width - MARGIN) - place.x;
    const dy = clamp(place.y, MARGIN, size.height - MARGIN) - place.y;
    if (dx !== 0 || dy !== 0) this.stage.pan(dx, dy);
    this.preview.hover(this.at, true);
    this.stage.draw();
  }

  _end() {
    if (this.at === null) return;
    this.at = null;
    this.preview.leave();
    this.stage.draw();
  }
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
