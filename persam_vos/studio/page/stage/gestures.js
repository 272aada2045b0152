// Comes in: what is pressed down on the canvas. Goes out: a Gesture, which follows the pointer until it is let go.

import { between, boxBetween, distance, pixelAt } from "../logic/view.js";
import { drawBox } from "./layers.js";

/** @typedef {import("../logic/view.js").Point} Point */
/**
 * @typedef {Object} Gesture
 * @property {(place: Point) => void} move Where the pointer is on the canvas.
 * @property {(place: Point) => void} end
 * @property {() => void} cancel
 * @property {import("./stage.js").Painter} [paint]
 */

/** Canvas pixels that a pointer moves before a click becomes a box. */
const BOX_FROM = 6;

/** Move the picture. @param {import("./stage.js").Stage} stage @param {Point} from @returns {Gesture} */
export function pan(stage, from) {
  let last = from;
  const move = (place) => {
    stage.pan(place.x - last.x, place.y - last.y);
    last = place;
  };
  return { move, end: move, cancel: () => {} };
}

/**
 * A click, or a box if the pointer is dragged.
 * @param {import("./stage.js").Stage} stage
 * @param {Point} from
 * @param {{click: (at: Point) => void, box: ((box: [number, number, number, number]) => void) | null}} say
 * @returns {Gesture}
 */
export function clickOrBox(stage, from, say) {
  let to = from;
  const start = stage.view.toFrame(from);
  const isBox = () => say.box !== null && distance(from, to) > BOX_FROM;
  return {
    move(place) {
      to = place;
      stage.draw();
    },
    end(place) {
      to = place;
      const box = boxBetween(start, stage.view.toFrame(to), stage.frame);
      if (isBox() && box[2] > box[0] && box[3] > box[1]) say.box(box);
      else if (stage.hits(from)) say.click(pixelAt(start, stage.frame));
      stage.draw();
    },
    cancel: () => stage.draw(),
    paint(context, view) {
      if (isBox()) drawBox(context, view, start, view.toFrame(to), stage.store.object?.color ?? "#ffffff");
    },
  };
}

/** A stroke of the brush. @param {import("./stage.js").Stage} stage @param {import("./brush.js").Brush} brush */
export function stroke(stage, brush, from, erases) {
  const painting = brush.begin(stage.view.toFrame(from), erases);
  return {
    move: (place) => painting.move(stage.view.toFrame(place)),
    end: () => painting.end(),
    cancel: () => painting.cancel(),
  };
}

/**
 * Two fingers: their distance zooms, their middle moves.
 * @param {import("./stage.js").Stage} stage @param {Point} a @param {Point} b
 * @returns {{move: (a: Point, b: Point) => void}}
 */
export function pinch(stage, a, b) {
  let last = { middle: between(a, b), apart: distance(a, b) };
  return {
    move(first, second) {
      const now = { middle: between(first, second), apart: distance(first, second) };
      stage.pan(now.middle.x - last.middle.x, now.middle.y - last.middle.y);
      if (last.apart > 0) stage.zoom(now.apart / last.apart, now.middle);
      last = now;
    },
  };
}
