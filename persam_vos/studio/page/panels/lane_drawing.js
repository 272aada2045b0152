// Comes in: a canvas, and what is known of an object on the frames in sight. Goes out: its lane.

import { rgbOf } from "../logic/labels.js";
import { piecesOf } from "../logic/lane.js";

export const LANE_HEIGHT = 28;
const MARGIN = 4;
const DIAMOND = 6;

/**
 * Draw the scores of an object: a band where it is, with the score as its upper edge; a thin line where it is absent.
 * @param {CanvasRenderingContext2D} context
 * @param {number} top
 * @param {(number | null)[]} scores @param {number} first Position of the first one.
 * @param {import("../logic/time_scale.js").TimeScale} scale
 * @param {string} color Of the object. @param {import("./colours.js").Colours} colours
 */
export function drawScores(context, top, scores, first, scale, color, colours) {
  const [red, green, blue] = rgbOf(color);
  const height = LANE_HEIGHT - 2 * MARGIN;
  const bottom = top + LANE_HEIGHT - MARGIN;
  const yOf = (score) => bottom - Math.max(0.08, score) * height;
  const pieces = piecesOf(scores, first, scale);
  for (const { x, width, kind, low } of pieces) {
    if (kind === "present") {
      context.fillStyle = `rgb(${red} ${green} ${blue} / 38%)`;
      context.fillRect(x, yOf(low), width, bottom - yOf(low));
    } else if (kind === "absent") {
      context.fillStyle = colours.faint;
      context.fillRect(x, bottom - 1, width, 1);
    }
  }
  context.beginPath();
  let before = null;
  for (const piece of pieces) {
    if (piece.kind === "present") {
      const y = yOf(piece.low);
      if (before === null) context.moveTo(piece.x, y);
      else context.lineTo(piece.x, y);
      context.lineTo(piece.x + piece.width, y);
      before = y;
    } else {
      before = null;
    }
  }
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.stroke();
}

/** A diamond for a keyframe; a hollow one where the object is said to be absent. */
export function drawKeyframe(context, x, top, kind, color, colours) {
  const y = top + LANE_HEIGHT / 2;
  context.beginPath();
  context.moveTo(x, y - DIAMOND);
  context.lineTo(x + DIAMOND, y);
  context.lineTo(x, y + DIAMOND);
  context.lineTo(x - DIAMOND, y);
  context.closePath();
  context.fillStyle = kind === "absent" ? colours.ground : color;
  context.fill();
  context.lineWidth = 3.5;
  context.strokeStyle = colours.ground;
  context.stroke();
  context.lineWidth = 1.75;
  context.strokeStyle = kind === "absent" ? color : colours.text;
  context.stroke();
}
