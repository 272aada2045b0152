// Comes in: the objects. Goes out: their list, in which they are named, coloured, hidden and removed.

import { keyframeAt } from "../logic/keyframes.js";
import { counted, nameOf } from "../logic/words.js";
import { byId, icon, make, onPress, setIcon, show } from "./dom.js";

/** @typedef {import("../logic/keyframes.js").StudioObject} StudioObject */

/** The list of objects, and what is said of the selected one on the current frame. */
export class Objects {
  /** @param {import("../data/store.js").Store} store @param {import("../data/edits.js").Edits} edits */
  constructor(store, edits) {
    this.store = store;
    this.edits = edits;
    this.list = byId("objects");
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    onPress(byId("new-object"), () => edits.newObject());
    onPress(byId("absent"), () => edits.absent());
    onPress(byId("forget"), () => edits.forget());
    store.watch(() => [store.state.objects, store.selected, store.hidden], () => this._list());
    store.watch(() => [store.state.objects, store.selected, store.frame], () => this._here());
  }

  /** Draw an object's mask, or leave it out. @param {number} id */
  toggle(id) {
    const hidden = new Set(this.store.hidden);
    if (!hidden.delete(id)) hidden.add(id);
    this.store.set({ hidden });
  }

  _list() {
    const { objects } = this.store.state;
    const ids = new Set(objects.map((each) => each.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (const [place, object] of objects.entries()) {
      if (!this.rows.has(object.id)) this.rows.set(object.id, this._row(object));
      const row = this.rows.get(object.id);
      this._update(row, object);
      // A row that is moved loses the focus: somebody may be typing in it.
      if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place] ?? null);
    }
    show(this.list, objects.length > 0);
  }

  /** @param {StudioObject} object @returns {HTMLElement} */
  _row({ id }) {
    const color = make("input", { type: "color", className: "swatch" });
    const name = make("input", { type: "text", className: "object-name", maxLength: 60, spellcheck: false });
    const marks = make("span", { className: "marks" });
    const eye = make("button", { className: "plain eye" }, icon("eye"));
    const trash = make("button", { className: "plain trash" }, icon("trash"));
    const row = make("li", { className: "object" }, color, name, marks, eye, trash);
    color.addEventListener("change", () => this.edits.recolor(id, color.value));
    name.addEventListener("focus", () => this.store.set({ selected: id }));
    name.addEventListener("change", () => this.edits.rename(id, name.value.trim()));
    name.addEventListener("keydown", (event) => {
      if (event.key === "Escape") name.value = this.store.state.objects.find((each) => each.id === id)?.name ?? "";
      if (event.key === "Escape" || event.key === "Enter") name.blur();
    });
    row.addEventListener("click", () => this.store.set({ selected: id }));
    onPress(eye, (event) => {
      event.stopPropagation();
      this.toggle(id);
    });
    onPress(trash, (event) => {
      event.stopPropagation();
      this.edits.remove(id);
    });
    return row;
  }

  /** @param {HTMLElement} row @param {StudioObject} object */
  _update(row, object) {
    const [color, name, marks, eye, trash] = row.children;
    const isHidden = this.store.hidden.has(object.id);
    const called = nameOf(object);
    row.setAttribute("aria-current", String(object.id === this.store.selected));
    row.classList.toggle("hidden-object", isHidden);
    color.value = object.color;
    color.setAttribute("aria-label", `Colour of ${called}`);
    if (document.activeElement !== name) name.value = object.name;
    name.placeholder = `Object ${object.id}`;
    name.setAttribute("aria-label", `Name of object ${object.id}`);
    marks.textContent = object.keyframes.length > 0 ? `◆ ${object.keyframes.length}` : "";
    marks.title = counted(object.keyframes.length, "keyframe");
    setIcon(eye.firstChild, isHidden ? "eye-off" : "eye");
    eye.setAttribute("aria-label", `${isHidden ? "Show" : "Hide"} ${called}`);
    eye.setAttribute("aria-pressed", String(isHidden));
    eye.title = `${isHidden ? "Show" : "Hide"} (V)`;
    trash.setAttribute("aria-label", `Remove ${called}`);
    trash.title = "Remove; Undo brings it back";
  }

  _here() {
    const { object, frame } = this.store;
    show(byId("here"), object !== undefined);
    if (!object) return;
    const keyframe = keyframeAt(object, frame);
    byId("here-words").textContent = `${nameOf(object)} on this frame: ${saidIn(keyframe)}`;
    byId("absent").disabled = keyframe?.kind === "absent";
    byId("forget").disabled = keyframe === undefined;
  }
}

/** @param {import("../logic/keyframes.js").Keyframe | undefined} keyframe @returns {string} What was said on a frame. */
function saidIn(keyframe) {
  if (!keyframe) return "nothing said yet.";
  if (keyframe.kind === "absent") return "not there.";
  const clicks = keyframe.points.length > 0 ? counted(keyframe.points.length, "click") : "";
  if (keyframe.kind === "mask") return clicks ? `a mask, mended by ${clicks}.` : "a mask.";
  return `${[keyframe.box ? "a box" : "", clicks].filter(Boolean).join(" and ")}.`;
}
