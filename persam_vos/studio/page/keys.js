// Comes in: keys that are pressed. Goes out: commands; and the list of all keys, as the page shows it.

import { byId, make, onPress } from "./panels/dom.js";

/**
 * @typedef {Object} Key
 * @property {string} group
 * @property {string[]} keys As `KeyboardEvent.key`, after "Ctrl+" and "Shift+"; the first is the one that is shown.
 * @property {string} words "" for a key that another one's words cover.
 * @property {() => unknown} act
 */

/** How keys are called on the page. */
const SHOWN = { ArrowLeft: "←", ArrowRight: "→", " ": "Space", Escape: "Esc" };

/** @param {KeyboardEvent} event @returns {string} Its name in a table of keys. */
function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isSign = event.key.length === 1 && !/[a-z ]/.test(key);
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return `${ctrl}${event.shiftKey && !isSign ? "Shift+" : ""}${key}`;
}

/** Whether an element takes keys itself. */
function takesText(element) {
  return element.matches("input:not([type=checkbox], [type=range], [type=color]), textarea, select");
}

/** Keys of the whole page. */
export class Keys {
  /** @param {Key[]} table @param {{canvas: HTMLCanvasElement, crosshair: import("./stage/crosshair.js").Crosshair, play: () => void}} parts */
  constructor(table, { canvas, crosshair, play }) {
    this.table = table;
    this.byName = new Map(table.flatMap((key) => key.keys.map((name) => [name, key])));
    Object.assign(this, { canvas, crosshair, play });
    this.spaceIsDown = false;
    this.spaceWasUsed = false;
    addEventListener("keydown", (event) => this._down(event));
    addEventListener("keyup", (event) => this._up(event));
    addEventListener("blur", () => (this.spaceIsDown = false));
    onPress(byId("help-open"), () => this.help());
    onPress(byId("help-close"), () => byId("help").close());
    byId("help-keys").append(...this._list());
  }

  /** The space bar was held to move the picture: letting it go does not play. */
  useSpace() {
    this.spaceWasUsed = true;
  }

  help() {
    if (!byId("help").open) byId("help").showModal();
  }

  _down(event) {
    const { target } = event;
    if (event.defaultPrevented || document.querySelector("dialog[open]") || takesText(target)) return;
    if (target === this.canvas && this.crosshair.press(event)) {
      event.preventDefault();
      return;
    }
    // Escape closes what is open before it means anything else.
    if (event.altKey || (event.key === "Escape" && document.querySelector(":popover-open"))) return;
    const isPressed = target.matches("button, a, input, summary") && (event.key === " " || event.key === "Enter");
    if (isPressed || (target.matches("[type=range]") && event.key.startsWith("Arrow"))) return;
    if (event.key === " ") {
      event.preventDefault();
      if (!event.repeat) [this.spaceIsDown, this.spaceWasUsed] = [true, false];
      this.canvas.classList.add("moving");
      return;
    }
    const key = this.byName.get(nameOf(event));
    if (!key) return;
    event.preventDefault();
    key.act();
  }

  _up(event) {
    if (event.key !== " " || !this.spaceIsDown) return;
    this.spaceIsDown = false;
    this.canvas.classList.remove("moving");
    if (!this.spaceWasUsed) this.play();
  }

  /** @returns {HTMLElement[]} A list for each group. */
  _list() {
    return grouped(this.table.filter((key) => key.words)).map(([group, keys]) => {
      const rows = keys.map((key) => {
        const shown = key.keys[0].split(/\+(?=.)/).map((part) => SHOWN[part] ?? (part.length === 1 ? part.toUpperCase() : part));
        return make("div", { className: "key-row" }, make("dt", {}, ...shown.map((part) => make("kbd", {}, part))), make("dd", {}, key.words));
      });
      return make("section", {}, make("h3", {}, group), make("dl", {}, ...rows));
    });
  }
}

function grouped(table) {
  const groups = new Map();
  for (const key of table) groups.set(key.group, [...(groups.get(key.group) ?? []), key]);
  return [...groups];
}
