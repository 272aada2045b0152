// Comes in: a canvas, and what is known of an object on the frames in sight. Goes out: its lane.

import { rgbOf } from "../logic/labels.js";
import { piecesOf } from "../logic/lane.js";

export const LANE_HEIGHT = 28;
const MARGIN = 4;
const DIAMOND = 6;

/**
 * Draw the scores of an object: a band where it is, with the score as its upper edge; short strokes where it is absent.
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
  const edge = new Path2D();
  const band = new Path2D();
  let isOpen = false;
  for (const { x, width, kind, low } of pieces) {
    if (kind === "absent") drawAbsence(context, x, top, width, colours.faint);
    if (kind === "present") {
      if (!isOpen) {
        edge.moveTo(x, yOf(low));
        band.moveTo(x, bottom);
      }
      for (const path of [edge, band]) {
        path.lineTo(x, yOf(low));
        path.lineTo(x + width, yOf(low));
      }
    } else if (isOpen) {
      band.lineTo(x, bottom);
    }
    isOpen = kind === "present";
  }
  const last = pieces[pieces.length - 1];
  if (isOpen) band.lineTo(last.x + last.width, bottom);
  context.fillStyle = `rgb(${red} ${green} ${blue} / 38%)`;
  context.fill(band);
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.stroke(edge);
}

/** Short strokes in the middle of the lane: the object is not there. */
function drawAbsence(context, x, top, width, color) {
  context.save();
  context.beginPath();
  context.setLineDash([3, 5]);
  context.moveTo(x, top + LANE_HEIGHT / 2);
  context.lineTo(x + width, top + LANE_HEIGHT / 2);
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.stroke();
  context.restore();
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
