// Comes in: what was refused, and where. Goes out: the words beside it, until they are closed or something else is done.

import { byId, onPress, show } from "./dom.js";

/** Words beside what caused them, on the canvas. */
export class Messages {
  /** @param {import("../data/store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.box = byId("callout");
    /** @type {import("../stage/stage.js").Stage | null} */
    this.stage = null;
    this.at = null;
    onPress(byId("callout-close"), () => this.close());
    store.watch(() => [store.frame, store.state.objects, store.tool], () => this.close());
    store.watch(() => [store.connected, store.trouble], () => this._connection());
  }

  /** Follow a stage, on which places are. @param {import("../stage/stage.js").Stage} stage */
  follow(stage) {
    this.stage = stage;
    stage.painters.push(() => this._place());
  }

  /** @param {string} words @param {import("../logic/view.js").Point} [at] In pixels of the frame. */
  refuse(words, at) {
    this.at = at ?? null;
    byId("callout-words").textContent = words;
    show(this.box, true);
    this._place();
  }

  /** @returns {boolean} Whether there was anything to close. */
  close() {
    const was = !this.box.hidden;
    show(this.box, false);
    return was;
  }

  _place() {
    if (this.box.hidden || !this.stage) return;
    const { width, height } = this.stage.size;
    const place = this.at ? this.stage.view.toCanvas(this.at) : { x: width / 2, y: height - 60 };
    const half = this.box.offsetWidth / 2;
    const x = Math.min(Math.max(place.x, half + 8), Math.max(width - half - 8, half + 8));
    const isBelow = place.y + this.box.offsetHeight + 24 < height;
    const y = isBelow ? place.y + 16 : place.y - this.box.offsetHeight - 16;
    this.box.style.left = `${x}px`;
    this.box.style.top = `${Math.max(8, y)}px`;
  }

  _connection() {
    clearTimeout(this.late);
    const gone = byId("gone");
    if (this.store.connected) return show(gone, false);
    // A short gap is not worth a word.
    this.late = setTimeout(() => {
      gone.textContent = this.store.trouble;
      show(gone, this.store.trouble !== "");
    }, 1200);
    return undefined;
  }
}
