// Comes in: a canvas, a view, and what lies on a frame. Goes out: it is drawn.

import { coloursOf, outlines, tinted } from "../logic/labels.js";

/** @typedef {import("../logic/view.js").View} View */
/** @typedef {import("../logic/labels.js").LabelMap} LabelMap */
/** @typedef {CanvasRenderingContext2D} Context */

/** Canvas pixels to a pixel of the frame from which on pixels are drawn as squares, to place clicks exactly. */
const SQUARES_FROM = 6;
const POINT_RADIUS = 6;
const ON = "#12b76a";
const OFF = "#f04438";

/** @type {WeakMap<LabelMap, Map<number, number[]>>} */
const known = new WeakMap();

/** @param {LabelMap} map @returns {Map<number, number[]>} Its outlines, followed once. */
export function outlinesOf(map) {
  if (!known.has(map)) known.set(map, outlines(map));
  return known.get(map);
}

/** @param {Context} context @param {View} view @param {CanvasImageSource} picture @param {{width: number, height: number}} frame */
export function drawPicture(context, view, picture, frame) {
  context.imageSmoothingEnabled = view.scale < SQUARES_FROM;
  context.imageSmoothingQuality = "high";
  drawOver(context, view, picture, frame);
}

/** Draw something that covers the frame. */
export function drawOver(context, view, source, frame) {
  const { x, y } = view.toCanvas({ x: 0, y: 0 });
  context.drawImage(source, x, y, frame.width * view.aspect * view.scale, frame.height * view.scale);
}

/**
 * Paint the label map's colours into a canvas of its size.
 * @param {LabelMap} map
 * @param {{id: number, color: string}[]} objects Those that are drawn.
 * @param {number} opacity 0..1.
 * @param {OffscreenCanvas | null} canvas One to use again.
 * @returns {OffscreenCanvas}
 */
export function tintOf(map, objects, opacity, canvas) {
  const same = canvas && canvas.width === map.width && canvas.height === map.height;
  const target = same ? canvas : new OffscreenCanvas(map.width, map.height);
  const pixels = tinted(map, coloursOf(objects, opacity));
  target.getContext("2d").putImageData(new ImageData(pixels, map.width, map.height), 0, 0);
  return target;
}

/** @param {Context} context @param {View} view @param {LabelMap} map @param {{width: number, height: number}} frame */
export function drawOutlines(context, view, map, frame, objects, selected) {
  const lines = outlinesOf(map);
  const ratio = frame.width / map.width;
  for (const { id, color } of objects) {
    const line = lines.get(id);
    if (!line) continue;
    tracePath(context, view, line, ratio);
    context.lineWidth = id === selected ? 4 : 3;
    context.strokeStyle = "rgb(0 0 0 / 55%)";
    context.stroke();
    context.lineWidth = id === selected ? 2 : 1.25;
    context.strokeStyle = color;
    context.stroke();
  }
}

/** @param {Context} context @param {View} view @param {number[]} line From `outlines`. @param {number} ratio */
export function tracePath(context, view, line, ratio) {
  const { x: left, y: top } = view.toCanvas({ x: 0, y: 0 });
  const across = view.scale * view.aspect * ratio;
  const down = view.scale * ratio;
  context.beginPath();
  context.lineCap = "round";
  for (let i = 0; i < line.length; i += 4) {
    context.moveTo(left + line[i] * across, top + line[i + 1] * down);
    context.lineTo(left + line[i + 2] * across, top + line[i + 3] * down);
  }
}

/**
 * Draw what a click would give: a light tint, and a white outline.
 * @param {Context} context @param {View} view @param {LabelMap} map 255 where the object would be.
 * @param {OffscreenCanvas} tint Of the map. @param {{width: number, height: number}} frame
 */
export function drawPreview(context, view, map, tint, frame) {
  drawOver(context, view, tint, frame);
  tracePath(context, view, outlinesOf(map).get(255) ?? [], frame.width / map.width);
  context.lineWidth = 3.5;
  context.strokeStyle = "rgb(0 0 0 / 45%)";
  context.stroke();
  context.lineWidth = 1.5;
  context.strokeStyle = "#ffffff";
  context.stroke();
}

/** @param {Context} context @param {View} view @param {import("../logic/keyframes.js").Keyframe} keyframe */
export function drawPrompts(context, view, keyframe, color) {
  if (keyframe.box) {
    const [x0, y0, x1, y1] = keyframe.box;
    drawBox(context, view, { x: x0, y: y0 }, { x: x1 + 1, y: y1 + 1 }, color);
  }
  for (const [x, y, on] of keyframe.points) drawPoint(context, view.toCanvas({ x: x + 0.5, y: y + 0.5 }), on === 1);
}

/** A dot with a plus or a minus in it, so that colour is not all that tells them apart. */
export function drawPoint(context, { x, y }, on) {
  context.beginPath();
  context.arc(x, y, POINT_RADIUS, 0, 2 * Math.PI);
  context.fillStyle = on ? ON : OFF;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.beginPath();
  context.moveTo(x - 3, y);
  context.lineTo(x + 3, y);
  if (on) {
    context.moveTo(x, y - 3);
    context.lineTo(x, y + 3);
  }
  context.stroke();
}

/** @param {Context} context @param {View} view @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
export function drawBox(context, view, from, to, color) {
  const a = view.toCanvas(from);
  const b = view.toCanvas(to);
  context.setLineDash([]);
  for (const [width, style] of [[3.5, "rgb(0 0 0 / 55%)"], [1.5, color]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  }
}

/** Draw the circle that a brush covers. */
export function drawBrush(context, view, at, size, erases) {
  const { x, y } = view.toCanvas(at);
  context.beginPath();
  context.ellipse(x, y, (size / 2) * view.scale * view.aspect, (size / 2) * view.scale, 0, 0, 2 * Math.PI);
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.stroke();
  context.lineWidth = 1.5;
  context.setLineDash(erases ? [4, 3] : []);
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.setLineDash([]);
}

/** Draw where the keyboard points. */
export function drawCrosshair(context, view, at) {
  const { x, y } = view.toCanvas({ x: at.x + 0.5, y: at.y + 0.5 });
  for (const [width, style] of [[4, "rgb(0 0 0 / 70%)"], [2, "#ffffff"]]) {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 5, y + dy * 5);
      context.lineTo(x + dx * 18, y + dy * 18);
    }
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke();
  }
}
