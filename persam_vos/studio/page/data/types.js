// The records that the server sends, as docs/studio-http.md describes them. Nothing runs here.

/** @typedef {import("../logic/keyframes.js").StudioObject} StudioObject */

/**
 * @typedef {Object} Option
 * @property {string} name
 * @property {string} about
 * @property {"integer" | "number" | "boolean" | "choice" | "color"} type
 * @property {string[]} [choices]
 * @property {number | string | boolean | null} default
 * @property {number | null} [min]
 * @property {number | null} [max]
 */

/**
 * @typedef {Object} Video
 * @property {string} name
 * @property {number} width Stored pixels.
 * @property {number} height
 * @property {number} pixel_aspect Width of a pixel, divided by its height.
 * @property {number} start The first frame.
 * @property {number} stop The first frame that is left out.
 * @property {number} step
 * @property {number | null} frame_rate null for a rate that changes.
 * @property {number} duration Seconds.
 * @property {string} session Folder of the session.
 * @property {string} version
 * @property {string} [run] Another one each time the server is started.
 * @property {{name: string, about: string, purpose: "looking" | "editing" | "annotating" | "benchmarks", options: string[]}[]} exports
 * @property {Option[]} options
 */

/**
 * @typedef {Object} Job
 * @property {"propagate" | "export"} kind
 * @property {number} done Frames.
 * @property {number} expected Frames.
 * @property {number | null} frames_per_second
 * @property {number | null} seconds_left
 * @property {number} [frame] The one that was made last.
 * @property {[number, number]} [frames] First and last of those that were made since this was told before.
 * @property {number} [revision] After it was made.
 */

/**
 * @typedef {Object} State
 * @property {number} [serial] Rises with every state that the server makes.
 * @property {string} [run] As of the video.
 * @property {number} revision Rises with every change of masks or prompts.
 * @property {StudioObject[]} objects
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {boolean} propagated Whether the masks of all frames are those of the prompts.
 * @property {Job | null} job
 * @property {string[]} warnings
 * @property {{bytes: number, limit: number}} cache Of embeddings, on the disk.
 * @property {number[]} prepared Frames on which points and boxes answer fast.
 */

/** @typedef {{frame: number, object: number, reason: string, doubt: number}} Doubt */

export {};
