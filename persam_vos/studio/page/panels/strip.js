// Comes in: a canvas, a time scale and small pictures. Goes out: the ruler with the pictures of the film under it.

import { mark } from "../logic/words.js";

export const RULER_HEIGHT = 20;

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{width: number, height: number}} size Pixels (CSS).
 * @param {import("../logic/time_scale.js").TimeScale} scale
 * @param {import("../logic/clip.js").Clip} clip
 * @param {import("./colours.js").Colours} colours
 */
export function drawRuler(context, size, scale, clip, colours) {
  const timeOf = (position) => clip.timeOf(clip.frameAt(position));
  const positionOf = (seconds) => clip.positionOf(clip.frameDue(seconds));
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = colours.faint;
  for (const { seconds, x } of scale.ruler(timeOf, positionOf)) {
    context.fillRect(Math.round(x), RULER_HEIGHT - 5, 1, 5);
    if (x < size.width - 24) context.fillText(mark(seconds), x + 4, RULER_HEIGHT / 2);
  }
}

/**
 * @param {import("../data/frames.js").Frames} frames
 * @param {() => void} onArrival Called when a picture that was missing has come.
 */
export function drawThumbs(context, size, scale, clip, frames, colours, onArrival) {
  const height = size.height - RULER_HEIGHT;
  const drawn = height * frames.shape;
  const width = Math.max(24, drawn);
  const thumbs = scale.thumbs(width);
  context.save();
  for (const [i, { position, x }] of thumbs.entries()) {
    const room = (thumbs[i + 1]?.x ?? scale.xOf(scale.count)) - x;
    const frame = clip.frameAt(position);
    const picture = frames.thumbNow(frame);
    context.fillStyle = colours.panel;
    context.fillRect(x, RULER_HEIGHT, room, height);
    if (!picture) {
      frames.thumb(frame).then(onArrival, () => {});
      continue;
    }
    context.save();
    context.beginPath();
    context.rect(x, RULER_HEIGHT, Math.max(1, room - 1), height);
    context.clip();
    context.drawImage(picture, x, RULER_HEIGHT, drawn, height);
    context.restore();
  }
  context.restore();
}

/** Small marks over the frames that the program doubts. */
export function drawDoubts(context, scale, clip, doubts, lookedAt, colours) {
  for (const { frame } of doubts) {
    const x = scale.xOf(clip.positionOf(frame) + 0.5);
    context.beginPath();
    context.moveTo(x - 5, 1);
    context.lineTo(x + 5, 1);
    context.lineTo(x, 9);
    context.closePath();
    context.fillStyle = lookedAt.has(frame) ? colours.rule : colours.warn;
    context.fill();
  }
}
