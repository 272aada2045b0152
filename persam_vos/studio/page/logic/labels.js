// Comes in: a label map: a byte a pixel, 0 for the background, n for object n, row by row.
// Goes out: what a canvas draws of it: pixels of colour, and outlines as lines along edges of pixels.

/** @typedef {{width: number, height: number, data: Uint8Array}} LabelMap */

/**
 * @param {string} hex Such as #e69f00.
 * @returns {[number, number, number]} Red, green, blue in 0..255.
 */
export function rgbOf(hex) {
  const number = Number.parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/**
 * Say which colour each label has.
 * @param {{id: number, color: string}[]} objects Those to draw; all others stay clear.
 * @param {number} opacity 0..1.
 * @returns {Uint32Array} 256 entries, in the order of bytes of ImageData.
 */
export function coloursOf(objects, opacity) {
  const colours = new Uint32Array(256);
  const bytes = new Uint8Array(colours.buffer);
  for (const { id, color } of objects) bytes.set([...rgbOf(color), Math.round(opacity * 255)], id * 4);
  return colours;
}

/**
 * @param {LabelMap} labels
 * @param {Uint32Array} colours From `coloursOf`.
 * @returns {Uint8ClampedArray} For ImageData: RGBA, row by row.
 */
export function tinted({ data }, colours) {
  const pixels = new Uint32Array(data.length);
  for (let i = 0; i < data.length; i += 1) pixels[i] = colours[data[i]];
  return new Uint8ClampedArray(pixels.buffer);
}

/**
 * Follow the edges between labels. Edges in a row become one line.
 * @param {LabelMap} labels
 * @returns {Map<number, number[]>} For each object: x0, y0, x1, y1 of line after line, in pixels of the map.
 */
export function outlines({ width, height, data }) {
  const lines = new Map();
  const add = (id, ...line) => {
    if (!lines.has(id)) lines.set(id, []);
    lines.get(id).push(...line);
  };
  const { left, top, right, bottom } = bounds({ width, height, data });
  for (let y = top; y <= bottom; y += 1) {
    const above = y > 0 ? (y - 1) * width : -1;
    const below = y < height ? y * width : -1;
    const put = (id, from, to) => add(id, from, y, to, y);
    followEdges(data, above, below, 1, left, right, put);
    followEdges(data, below, above, 1, left, right, put);
  }
  for (let x = left; x <= right; x += 1) {
    const before = x > 0 ? x - 1 : -1;
    const after = x < width ? x : -1;
    const put = (id, from, to) => add(id, x, from, x, to);
    followEdges(data, before, after, width, top, bottom, put);
    followEdges(data, after, before, width, top, bottom, put);
  }
  return lines;
}

/**
 * Report runs of equal labels in one line of pixels that differ from the line beside it.
 * @param {Uint8Array} data
 * @param {number} mine Index of the line's first pixel; -1 for a line outside the map, which is background.
 * @param {number} other The same of the line beside it.
 * @param {number} step From one pixel to the next.
 * @param {number} from First pixel looked at. @param {number} to First one left out.
 * @param {(id: number, from: number, to: number) => void} put
 */
function followEdges(data, mine, other, step, from, to, put) {
  if (mine < 0) return;
  let id = 0;
  let since = from;
  for (let i = from; i < to; i += 1) {
    const label = data[mine + i * step];
    const edge = label === (other < 0 ? 0 : data[other + i * step]) ? 0 : label;
    if (edge === id) continue;
    if (id !== 0) put(id, since, i);
    since = i;
    id = edge;
  }
  if (id !== 0) put(id, since, to);
}

/** The smallest box around all objects: its first pixels, and the first ones beyond it. */
function bounds({ width, height, data }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y += 1) {
    const row = y * width;
    let x = 0;
    while (x < width && data[row + x] === 0) x += 1;
    if (x === width) continue;
    let end = width;
    while (data[row + end - 1] === 0) end -= 1;
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, end), y + 1];
  }
  return { left, top, right, bottom };
}
