// Comes in: the objects of a state, and a frame. Goes out: which keyframes are there, before it and after it.

/**
 * @typedef {Object} Keyframe
 * @property {number} frame
 * @property {"points" | "box" | "mask" | "absent"} kind
 * @property {[number, number, 0 | 1][]} points x, y, and whether it is on the object; of a mask, those that have mended it.
 * @property {[number, number, number, number] | null} box x0, y0, x1, y1; the maxima belong to it.
 */
/** @typedef {{id: number, name: string, color: string, keyframes: Keyframe[]}} StudioObject */

/** @param {StudioObject | undefined} object @param {number} frame @returns {Keyframe | undefined} */
export function keyframeAt(object, frame) {
  return object?.keyframes.find((each) => each.frame === frame);
}

/** @param {StudioObject[]} objects @returns {number[]} Frames with a keyframe of any of them, rising. */
export function framesWithKeyframes(objects) {
  const frames = objects.flatMap((each) => each.keyframes.map((keyframe) => keyframe.frame));
  return [...new Set(frames)].sort((a, b) => a - b);
}

/**
 * @param {number[]} frames Rising. @param {number} frame @param {1 | -1} direction
 * @returns {number | undefined} The next one after it, or before it.
 */
export function nextOf(frames, frame, direction) {
  return direction > 0 ? frames.find((each) => each > frame) : frames.findLast((each) => each < frame);
}

/** @param {StudioObject[]} objects @returns {boolean} Whether anything is said of any of them. */
export function isMarked(objects) {
  return objects.some((each) => each.keyframes.length > 0);
}
