// Comes in: the sizes of frame and canvas, and what a hand does: wheel, pinch, drag.
// Goes out: a View, which says where a pixel of the frame is on the canvas, and which pixel is at a place there.

/** @typedef {{width: number, height: number}} Size */
/** @typedef {{x: number, y: number}} Point */

/** Canvas pixels (CSS) a pixel of the frame may grow to. */
const LARGEST_SCALE = 32;
/** Canvas pixels (CSS) of the frame that stay in sight when it is moved away. */
const KEPT_IN_SIGHT = 48;

/** Where a frame lies on a canvas. A view never changes: what moves it makes another one. */
export class View {
  /**
   * @param {number} scale Canvas pixels (CSS) to a row of the frame.
   * @param {number} left Canvas x of the frame's left edge.
   * @param {number} top Canvas y of its upper edge.
   * @param {number} aspect Width of a pixel of the frame, divided by its height.
   */
  constructor(scale, left, top, aspect = 1) {
    this.scale = scale;
    this.left = left;
    this.top = top;
    this.aspect = aspect;
    Object.freeze(this);
  }

  /** @param {Size} frame @param {Size} canvas @param {number} aspect @returns {View} All of the frame, in the middle. */
  static fit(frame, canvas, aspect = 1) {
    const scale = Math.min(canvas.width / (frame.width * aspect), canvas.height / frame.height);
    const left = (canvas.width - frame.width * aspect * scale) / 2;
    return new View(scale, left, (canvas.height - frame.height * scale) / 2, aspect);
  }

  /** @param {Point} point In pixels of the frame. @returns {Point} On the canvas. */
  toCanvas({ x, y }) {
    return { x: this.left + x * this.aspect * this.scale, y: this.top + y * this.scale };
  }

  /** @param {Point} point On the canvas. @returns {Point} In pixels of the frame, with fractions; may lie outside. */
  toFrame({ x, y }) {
    return { x: (x - this.left) / (this.aspect * this.scale), y: (y - this.top) / this.scale };
  }

  /** @param {number} factor @param {Point} at What stays where it is on the canvas. @returns {View} */
  zoomed(factor, at) {
    const scale = this.scale * factor;
    return new View(scale, at.x - (at.x - this.left) * factor, at.y - (at.y - this.top) * factor, this.aspect);
  }

  /** @param {number} dx @param {number} dy @returns {View} */
  moved(dx, dy) {
    return new View(this.scale, this.left + dx, this.top + dy, this.aspect);
  }

  /**
   * @param {Size} frame @param {Size} canvas
   * @returns {View} This one, but no smaller than the whole frame, no larger than 32 to 1, and never out of sight.
   */
  within(frame, canvas) {
    const whole = View.fit(frame, canvas, this.aspect);
    if (this.scale <= whole.scale * 1.001) return whole;
    const scale = Math.min(this.scale, Math.max(LARGEST_SCALE, whole.scale));
    const middle = { x: canvas.width / 2, y: canvas.height / 2 };
    const view = scale === this.scale ? this : this.zoomed(scale / this.scale, middle);
    const width = frame.width * this.aspect * scale;
    const left = Math.min(Math.max(view.left, KEPT_IN_SIGHT - width), canvas.width - KEPT_IN_SIGHT);
    const top = Math.min(Math.max(view.top, KEPT_IN_SIGHT - frame.height * scale), canvas.height - KEPT_IN_SIGHT);
    return new View(scale, left, top, this.aspect);
  }
}

/** @param {Point} point @param {Size} frame @returns {boolean} Whether it lies on the frame. */
export function isInside({ x, y }, { width, height }) {
  return x >= 0 && y >= 0 && x < width && y < height;
}

/** @param {Point} point With fractions. @param {Size} frame @returns {Point} The pixel there, the nearest one outside. */
export function pixelAt({ x, y }, { width, height }) {
  return {
    x: Math.min(Math.max(Math.floor(x), 0), width - 1),
    y: Math.min(Math.max(Math.floor(y), 0), height - 1),
  };
}

/**
 * @param {Point} from @param {Point} to Two corners, with fractions. @param {Size} frame
 * @returns {[number, number, number, number]} x0, y0, x1, y1 in whole pixels; the maxima belong to the box.
 */
export function boxBetween(from, to, frame) {
  const a = pixelAt(from, frame);
  const b = pixelAt(to, frame);
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
}

/** @param {Point} a @param {Point} b @returns {number} */
export function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** @param {Point} a @param {Point} b @returns {Point} */
export function between(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}
