// Comes in: what is to be propagated. Goes out: it is, with progress, time left, a stop, and what has changed.

import * as api from "../data/api.js";
import { isMarked } from "../logic/keyframes.js";
import { counted, frameRanges, timeLeft } from "../logic/words.js";
import { byId, onPress, show } from "./dom.js";

/** Ranges that are named one by one. */
const NAMED = 4;

/** Steps from which on their speed tells something: the first one also gets things ready. */
const TELLING = 4;

/** The second step: masks for all frames. */
export class Propagate {
  /** @param {import("../data/store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.isStarting = false;
    this.buttons = [...byId("propagate-choices").querySelectorAll("button")];
    for (const button of this.buttons) onPress(button, () => this.start(button.dataset.what));
    onPress(byId("propagate-stop"), () => this.stop());
    store.watch(() => [store.state], () => this._show());
  }

  /** @param {"all" | "forward" | "backward" | "to_next"} what */
  async start(what) {
    if (this.store.state.job?.kind === "propagate" || this.isStarting) return;
    byId("propagate-error").textContent = "";
    byId("propagate-news").textContent = "";
    if (!isMarked(this.store.state.objects)) {
      this.failed("Nothing is marked yet: click an object first.");
      return;
    }
    this._starts(true);
    try {
      await api.propagate(what, this.store.frame);
    } catch (error) {
      this.failed(error.message);
    }
    this._starts(false);
  }

  /** Say that it begins, before the server tells of it. @param {boolean} isStarting */
  _starts(isStarting) {
    this.isStarting = isStarting;
    this._show();
  }

  /** @returns {boolean} Whether there was anything to stop. */
  stop() {
    if (this.store.state.job?.kind !== "propagate") return false;
    byId("propagate-words").textContent = "Stopping after this frame";
    api.stopPropagating().catch((error) => this.failed(error.message));
    return true;
  }

  /** @param {[number, number][]} changed First and last frame of each range. */
  done(changed = []) {
    const frames = changed.reduce((sum, [first, last]) => sum + 1 + (last - first) / this.store.clip.step, 0);
    const where = changed.length > 0 && changed.length <= NAMED ? `: ${frameRanges(changed)}` : "";
    const isAll = frames === this.store.clip.count;
    const words = isAll ? `New masks on all ${counted(frames, "frame")}.` : `New masks on ${counted(frames, "frame")}${where}.`;
    byId("propagate-news").textContent = frames === 0 ? "Nothing had to change." : words;
  }

  /** @param {string} words */
  failed(words) {
    byId("propagate-error").textContent = words;
  }

  _show() {
    const { job, objects } = this.store.state;
    const isRunning = this.isStarting || job?.kind === "propagate";
    show(byId("propagating"), isRunning);
    byId("propagate-stop").disabled = this.isStarting;
    show(byId("propagate-choices"), !isRunning);
    for (const button of this.buttons) button.disabled = job !== null || !isMarked(objects);
    if (isRunning) showProgress(byId("propagate-bar"), byId("propagate-words"), job);
  }
}

/** @param {HTMLProgressElement} bar @param {HTMLElement} words @param {import("../data/types.js").Job | null} job null before it begins. */
export function showProgress(bar, words, job) {
  bar.max = Math.max(1, job?.expected ?? 1);
  if (job?.done > 0) bar.value = job.done;
  else bar.removeAttribute("value");
  words.textContent = progressWords(job);
}

/**
 * @param {import("../data/types.js").Job | null} job
 * @returns {string} Such as "34 of 300 steps · 2.1 a second · 2 min left". Between two keyframes a frame takes two steps.
 */
function progressWords(job) {
  if (!job || job.done === 0) return "Getting ready";
  const isPropagating = job.kind === "propagate" || job.frame !== undefined;
  const parts = [`${job.done.toLocaleString("en")} of ${counted(job.expected, isPropagating ? "step" : "frame")}`];
  if (job.kind === "export" && isPropagating) parts.unshift("Masks first");
  if (job.done < TELLING) return parts.join(" · ");
  if (job.frames_per_second) parts.push(`${job.frames_per_second.toFixed(1)} a second`);
  if (job.seconds_left !== null && job.seconds_left !== undefined) parts.push(timeLeft(job.seconds_left));
  return parts.join(" · ");
}
