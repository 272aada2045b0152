// Comes in: how far the work is. Goes out: one sentence that says what to do next, and which button it is.

/**
 * @typedef {Object} Progress
 * @property {boolean} open Whether the session is open.
 * @property {boolean} marked Whether anything is said of any object.
 * @property {boolean} selectedMarked Whether anything is said of the selected one.
 * @property {string} selectedName
 * @property {boolean} propagated Whether the masks of all frames are those of the prompts.
 * @property {"propagate" | "export" | null} job What is being made.
 * @property {number} doubts Doubtful frames that nobody has looked at.
 * @property {"click" | "box" | null} waits What waits for its mask.
 * @property {boolean} touch Whether a finger points, not a mouse.
 * @property {import("../data/store.js").Tool} tool
 */

/** What brush and eraser are for: the first words of an object, and those that mend its mask. */
const PAINTING = {
  brush: { first: "Paint all of", then: "Paint what is missing; the eraser takes away what is too much." },
  eraser: { first: "The eraser takes away. First take the brush, and paint all of", then: "Rub out what is too much; the brush adds." },
};

/**
 * @param {Progress} progress
 * @returns {{words: string, button: "propagate" | "doubt" | "export" | null}}
 */
export function nextStep(progress) {
  const { open, marked, selectedMarked, selectedName, propagated, job, doubts, waits, touch, tool } = progress;
  if (!open) return { words: "Loading the network. You can look at the film meanwhile.", button: null };
  if (waits) return { words: `Working on your ${waits}: its mask comes.`, button: null };
  if (job === "propagate") return { words: "Masks are being made. You can go on marking meanwhile.", button: null };
  if (job === "export") return { words: propagated ? "The files are being written." : "Masks are made first, then the files.", button: null };
  const painting = PAINTING[tool];
  if (painting && (!marked || !selectedMarked)) {
    return { words: `${painting.first} ${marked ? selectedName : "the object that you want to mask"}.`, button: null };
  }
  if (!marked) {
    return { words: `${touch ? "Tap" : "Click"} the object that you want to mask, or drag a box around it.`, button: null };
  }
  if (!selectedMarked) {
    const where = "on any frame where it is well seen";
    return { words: `${touch ? "Tap" : "Click"} ${selectedName} ${where}, or drag a box around it.`, button: null };
  }
  if (!propagated) {
    const clicks = touch
      ? "Tap what is missing; “Take away” removes what is too much."
      : "Click what is missing, right-click what is too much.";
    const mend = painting?.then ?? clicks;
    return { words: `${mend} When the mask is right, propagate it through the film.`, button: "propagate" };
  }
  if (doubts > 0) {
    return { words: "Every frame has its mask. Look at the doubtful ones, and mend them with a click.", button: "doubt" };
  }
  return { words: "Every frame has its mask. Play it, mend what is wrong, or export.", button: "export" };
}
