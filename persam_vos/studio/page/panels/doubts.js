// Comes in: the frames that the program itself doubts. Goes out: their list, and the way from one to the next.

import * as api from "../data/api.js";
import { pictureUrl } from "../data/api.js";
import { THUMB_WIDTH } from "../data/frames.js";
import { clock, nameOf } from "../logic/words.js";
import { byId, icon, make, onPress, show } from "./dom.js";

const LISTED = 8;
/** Pixels (CSS) of the longer side of a picture. */
const LONGEST = 56;
/** Milliseconds from a change to the question which frames are doubtful now. */
const SOON = 400;

/** The third step: look where the masks are most likely wrong. */
export class Doubts {
  /** @param {import("../data/store.js").Store} store @param {import("../data/frames.js").Frames} frames */
  constructor(store, frames) {
    this.store = store;
    this.frames = frames;
    this.later = 0;
    onPress(byId("next-doubt"), () => this.go(1));
    store.watch(() => [store.state.propagated, store.state.revision], () => this._ask());
    store.watch(() => [store.doubts, store.doubtsAreOld, store.lookedAt, store.frame, store.state.objects], () => this._show());
  }

  /** Go to the next doubtful frame that nobody has looked at, or to one before. @param {1 | -1} direction */
  go(direction) {
    const { doubtsNow: doubts, doubtsLeft, frame } = this.store;
    if (doubts.length === 0) return;
    const here = doubts.findIndex((each) => each.frame === frame);
    const turned = doubts[(here + direction + doubts.length) % doubts.length];
    this.visit(direction > 0 ? (doubtsLeft.find((each) => each.frame !== frame) ?? turned) : turned);
  }

  /** @param {import("../data/types.js").Doubt} doubt */
  visit(doubt) {
    const { store } = this;
    const isThere = store.state.objects.some((each) => each.id === doubt.object);
    const lookedAt = new Set(store.lookedAt).add(doubt.frame);
    store.set({ playing: false, frame: doubt.frame, selected: isThere ? doubt.object : store.selected, lookedAt });
  }

  _ask() {
    clearTimeout(this.later);
    this.store.set({ doubtsAreOld: true });
    if (!this.store.state.propagated) return;
    this.later = setTimeout(async () => {
      try {
        const doubts = await api.doubtful(LISTED);
        const same = JSON.stringify(doubts) === JSON.stringify(this.store.doubts);
        this.store.set(same ? { doubtsAreOld: false } : { doubtsAreOld: false, doubts, lookedAt: new Set() });
      } catch {
        // The list stays as it was; the next change asks again.
      }
    }, SOON);
  }

  _show() {
    const { doubtsNow: doubts, doubtsAreOld, doubtsLeft, frame, lookedAt, state } = this.store;
    byId("doubts-count").textContent = doubtsLeft.length > 0 ? String(doubtsLeft.length) : "";
    byId("doubts-words").textContent = wordsFor(state, doubts, doubtsAreOld);
    show(byId("next-doubt"), doubts.length > 0);
    const list = byId("doubts");
    const focused = [...list.children].findIndex((row) => row.contains(document.activeElement));
    list.replaceChildren(...doubts.map((doubt) => this._row(doubt, frame, lookedAt)));
    list.children[focused]?.firstChild.focus();
    list.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }

  _row(doubt, frame, lookedAt) {
    const { clip, state } = this.store;
    const object = state.objects.find((each) => each.id === doubt.object);
    const picture = make("img", { src: pictureUrl(doubt.frame, THUMB_WIDTH), alt: "", loading: "lazy" });
    const { shape } = this.frames;
    picture.style.aspectRatio = String(shape);
    picture.style.width = `${Math.min(1, shape) * LONGEST}px`;
    const where = make("span", { className: "where" }, `Frame ${doubt.frame}`);
    where.append(make("span", { className: "faint" }, ` ${clock(clip.timeOf(doubt.frame))}`));
    if (lookedAt.has(doubt.frame)) where.append(icon("check"), make("span", { className: "unseen" }, "looked at"));
    const dot = make("span", { className: "dot" });
    dot.style.background = object?.color ?? "transparent";
    const who = object && state.objects.length > 1 ? `${nameOf(object)}: ` : "";
    const why = make("span", { className: "why" }, dot, `${who}${doubt.reason}`);
    const button = make("button", { className: "doubt" }, picture, make("span", { className: "doubt-words" }, where, why));
    button.setAttribute("aria-current", String(doubt.frame === frame));
    button.addEventListener("click", () => this.visit(doubt));
    return make("li", {}, button);
  }
}

function wordsFor(state, doubts, areOld) {
  if (!state.propagated && doubts.length === 0) return "After propagating, the frames that most need a look are listed here.";
  if (areOld && state.propagated) return "Looking through the masks …";
  if (doubts.length === 0) return "No frame stands out.";
  if (areOld) return "From before your last change:";
  return "Most doubtful first.";
}
