// Comes in: bytes of the files of the frames that come next, as far as they are here. Goes out: how many to have ahead.

/** Frames ahead at most. */
const MOST = 32;
/** Files that may be on their way at once, so that large ones do not fill the cache before their size is known. */
const UNKNOWN = 6;

/**
 * @param {(i: number) => number | null} bytesOf Bytes of the i-th frame from here, from 1; null if its file is not here.
 * @param {number} room Bytes that all of them may take.
 * @returns {number} Frames, at least 1.
 */
export function framesAhead(bytesOf, room) {
  let [taken, known, unknown] = [0, 0, 0];
  for (let i = 1; i <= MOST; i += 1) {
    const bytes = bytesOf(i);
    if (bytes === null) unknown += 1;
    else [taken, known] = [taken + bytes, known + 1];
    const each = known > 0 ? taken / known : 0;
    if (unknown > UNKNOWN || taken + unknown * each > room) return Math.max(1, i - 1);
  }
  return MOST;
}
