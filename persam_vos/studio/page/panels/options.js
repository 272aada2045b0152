// Comes in: options as the server describes them. Goes out: a field for each, open for those that the chosen exports have, and their values.

import { make, show } from "./dom.js";

/** @typedef {import("../data/types.js").Option} Option */

/** Fields of a form, one an option. */
export class OptionFields {
  /** @param {HTMLElement} room @param {{name: string, options: string[]}[]} exports @param {Option[]} options */
  constructor(room, exports, options) {
    this.exports = exports;
    this.fields = options.map((option) => ({ option, ...fieldOf(option) }));
    room.append(...this.fields.map((each) => each.row));
  }

  /**
   * Open the options that at least one of these exports has. The others stay where they are, closed: what lies under
   * the pointer does not move.
   * @param {string[]} chosen
   */
  open(chosen) {
    const names = this._namesOf(chosen);
    for (const { option, row } of this.fields) {
      const isOpen = names.has(option.name);
      row.classList.toggle("closed", !isOpen);
      for (const field of row.querySelectorAll("input, select")) field.disabled = !isOpen;
    }
  }

  /** @param {string[]} chosen @returns {Object<string, unknown>} Options that are not at their default. */
  given(chosen) {
    const names = this._namesOf(chosen);
    const values = this.fields.filter(({ option }) => names.has(option.name)).map(({ option, read }) => [option, read()]);
    return Object.fromEntries(values.filter(([option, value]) => value !== option.default).map(([{ name }, value]) => [name, value]));
  }

  _namesOf(chosen) {
    return new Set(this.exports.filter((each) => chosen.includes(each.name)).flatMap((each) => each.options));
  }
}

/** @param {Option} option @returns {{row: HTMLElement, read: () => unknown}} */
function fieldOf(option) {
  const made = { boolean: checkbox, choice: select, color: colour }[option.type] ?? number;
  const { element, read } = made(option);
  const title = option.name.replaceAll("_", " ");
  const about = make("span", { className: "faint" }, option.about);
  const row = make("label", { className: "option" }, make("span", { className: "option-name" }, title), element, about);
  return { row, read };
}

function checkbox(option) {
  const element = make("input", { type: "checkbox", checked: Boolean(option.default) });
  return { element, read: () => element.checked };
}

function select(option) {
  const element = make("select", {}, ...option.choices.map((each) => make("option", { value: each }, each)));
  element.value = String(option.default);
  return { element, read: () => element.value };
}

/** A colour, or one of the words that stand for something else, such as blur. */
function colour(option) {
  const picker = make("input", { type: "color", value: option.default, "aria-label": `${option.name}: colour` });
  const words = [make("option", { value: "" }, "colour"), ...(option.choices ?? []).map((each) => make("option", { value: each }, each))];
  const kind = make("select", { "aria-label": `${option.name}: kind` }, ...words);
  kind.addEventListener("change", () => show(picker, kind.value === ""));
  const element = make("span", { className: "pair-field" }, kind, picker);
  return { element, read: () => kind.value || picker.value };
}

function number(option) {
  const isWhole = option.type === "integer";
  const element = make("input", { type: "number", step: isWhole ? 1 : "any", placeholder: "none" });
  if (option.min !== null && option.min !== undefined) element.min = option.min;
  if (option.max !== null && option.max !== undefined) element.max = option.max;
  if (option.default !== null) element.value = option.default;
  return { element, read: () => (element.value === "" ? option.default : Number(element.value)) };
}
