// Comes in: the scores of an object, a frame each, and a time scale. Goes out: the pieces that a lane draws, never more
// than there are pixels.

/**
 * @typedef {Object} Piece
 * @property {number} x Left edge, in pixels.
 * @property {number} width
 * @property {"unknown" | "absent" | "present"} kind
 * @property {number} low Lowest score in it, 0..1.
 */

/**
 * @param {(number | null)[]} scores null: not propagated; 0: absent.
 * @param {number} first Position of the first score.
 * @param {import("./time_scale.js").TimeScale} scale
 * @returns {Piece[]} Neighbours of one kind and score are one piece.
 */
export function piecesOf(scores, first, scale) {
  const [from, stop] = scale.range();
  const perPiece = Math.max(1, Math.ceil(1 / scale.frameWidth));
  /** @type {Piece[]} */
  const pieces = [];
  for (let position = Math.floor(from / perPiece) * perPiece; position < stop; position += perPiece) {
    const { kind, low } = summary(scores, position - first, position - first + perPiece);
    const x = scale.xOf(position);
    const width = perPiece * scale.frameWidth;
    const last = pieces[pieces.length - 1];
    if (last && last.kind === kind && last.low === low) last.width = x + width - last.x;
    else pieces.push({ x, width, kind, low });
  }
  return pieces;
}

/** What several frames have in common: one that is unknown makes all unknown; else the lowest score of those that show it. */
function summary(scores, from, stop) {
  let low = Infinity;
  for (let i = from; i < stop; i += 1) {
    const score = scores[i];
    if (i < 0 || i >= scores.length) continue;
    if (score === null) return { kind: "unknown", low: 0 };
    if (score > 0) low = Math.min(low, score);
  }
  if (low < Infinity) return { kind: "present", low };
  return from >= scores.length ? { kind: "unknown", low: 0 } : { kind: "absent", low: 0 };
}
