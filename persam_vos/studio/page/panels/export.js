// Comes in: what the server can write, with which options. Goes out: a choice, the job's progress, and where the files are.

import * as api from "../data/api.js";
import { byId, icon, make, onPress, show } from "./dom.js";
import { OptionFields } from "./options.js";
import { showProgress } from "./propagate.js";

/** What exports are for, and what the page calls it. */
const PURPOSES = {
  looking: "To look at, and for scripts",
  editing: "For editing and compositing",
  annotating: "For annotation tools",
  benchmarks: "For benchmarks",
};
/** What lies beside every export, as of a run. */
const RECORDS = new Set(["prompts", "prompts.json", "run.json", "tracks.jsonl"]);
/** What is chosen at first. */
const FIRST = ["masks", "overlay"];

/** The fourth step: files. */
export class Export {
  /** @param {import("../data/store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.dialog = byId("export");
    const { exports, options } = store.video;
    this.choices = exports.map((each) => this._choice(each));
    byId("export-list").append(...Object.entries(PURPOSES).map(([purpose, words]) => this._group(purpose, words)));
    this.fields = new OptionFields(byId("export-options"), exports, options);
    onPress(byId("export-open"), () => this.open());
    onPress(byId("export-close"), () => this.dialog.close());
    onPress(byId("export-stop"), () => this.stop());
    byId("export-form").addEventListener("submit", (event) => this._submit(event));
    store.watch(() => [store.state], () => this._show());
    this._chosen();
  }

  open() {
    if (this.store.state.job?.kind === "export") return;
    byId("export-error").textContent = "";
    this._note();
    if (!this.dialog.open) this.dialog.showModal();
  }

  stop() {
    byId("export-words").textContent = "Cancelling";
    api.stopExporting().catch((error) => this.failed(error.message));
  }

  /** @param {{folder?: string, files?: string[]}} done */
  done({ folder, files = [] }) {
    const news = byId("export-news");
    if (!folder) {
      news.textContent = "Cancelled; nothing half-written is left.";
      return;
    }
    const copy = make("button", { className: "plain", title: "Copy the path", "aria-label": "Copy the path" }, icon("copy"));
    onPress(copy, () => navigator.clipboard?.writeText(folder));
    const where = make("span", { className: "folder" }, make("code", {}, folder), copy);
    news.replaceChildren("Written into", where, make("span", { className: "faint" }, files.filter((each) => !RECORDS.has(each)).join(", ")));
    where.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} words */
  failed(words) {
    byId(this.dialog.open ? "export-error" : "export-failed").textContent = words;
  }

  /** @param {string} purpose @param {string} words @returns {HTMLElement} The exports for it. */
  _group(purpose, words) {
    const rows = this.choices.filter((each) => each.purpose === purpose).map((each) => each.row);
    return make("section", { className: "export-group" }, make("h3", {}, words), ...rows);
  }

  _choice({ name, about, purpose }) {
    const box = make("input", { type: "checkbox", name, checked: FIRST.includes(name) });
    box.addEventListener("change", () => this._chosen());
    const words = make("span", {}, make("b", {}, name), make("span", { className: "faint" }, about));
    return { name, purpose, box, row: make("label", { className: "export-choice" }, box, words) };
  }

  /** Names of the exports that are chosen. */
  get chosen() {
    return this.choices.filter((each) => each.box.checked).map((each) => each.name);
  }

  _chosen() {
    const { chosen } = this;
    this.fields.open(chosen);
    byId("export-start").disabled = chosen.length === 0;
    byId("export-error").textContent = "";
    this._note();
  }

  _note() {
    byId("export-note").textContent = noteFor(this.store, this.chosen);
  }

  async _submit(event) {
    event.preventDefault();
    byId("export-error").textContent = "";
    byId("export-failed").textContent = "";
    byId("export-news").textContent = "";
    try {
      await api.exportFiles(this.chosen, this.fields.given(this.chosen));
      this.dialog.close();
    } catch (error) {
      this.failed(error.message);
    }
  }

  _show() {
    const { job, objects } = this.store.state;
    const isRunning = job?.kind === "export";
    show(byId("exporting"), isRunning);
    show(byId("export-open"), !isRunning);
    byId("export-open").disabled = job !== null || objects.length === 0;
    if (this.dialog.open) this._note();
    if (isRunning) showProgress(byId("export-bar"), byId("export-words"), job);
  }
}

/** @param {import("../data/store.js").Store} store @param {string[]} chosen @returns {string} What will happen. */
function noteFor({ state, video }, chosen) {
  if (chosen.length === 0) return "Choose at least one of what to write.";
  if (state.propagated) return `Into a new folder in ${video.session}`;
  return "The masks are not up to date: they are propagated first, then the files are written.";
}
