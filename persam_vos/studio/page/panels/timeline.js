// Comes in: the clip, its objects and their scores. Goes out: a strip of pictures and a lane for each object, on which a
// person scrubs, zooms and finds keyframes. Both are canvases: 10,000 frames are no more elements than ten.

import { Lanes } from "../data/lanes.js";
import { TimeScale } from "../logic/time_scale.js";
import { clock, counted, nameOf } from "../logic/words.js";
import { colours, onScheme } from "./colours.js";
import { byId, make, onPress, show } from "./dom.js";
import { LANE_HEIGHT, drawKeyframe, drawScores } from "./lane_drawing.js";
import { drawDoubts, drawRuler, drawThumbs } from "./strip.js";

const WHEEL = 0.002;
/** Pixels to the left and right of all frames, so that a keyframe on the first one is whole. */
const INSET = 8;
/** Pixels to a keyframe within which a press on a lane goes to it. */
const SNAP = 7;

export class Timeline {
  /**
   * @param {import("../data/store.js").Store} store
   * @param {import("../data/frames.js").Frames} frames
   * @param {(frame: number) => void} go
   */
  constructor(store, frames, go) {
    Object.assign(this, { store, frames, go, clip: store.clip });
    this.strip = byId("strip");
    this.canvas = byId("lanes");
    this.scroll = byId("lanes-scroll");
    this.scale = new TimeScale(this.clip.count, 1);
    this.colours = colours();
    this._asked = false;
    this.lanes = new Lanes(store, () => this.draw());
    onScheme(() => {
      this.colours = colours();
      this.draw();
    });
    new ResizeObserver(() => this._resize()).observe(this.strip);
    new ResizeObserver(() => this._resize()).observe(this.scroll);
    this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    for (const canvas of [this.strip, this.canvas]) this._listen(canvas);
    onPress(byId("timeline-in"), () => this.zoom(2));
    onPress(byId("timeline-out"), () => this.zoom(0.5));
    store.watch(() => [store.state.objects, store.selected, store.hidden], () => this._names());
    store.watch(() => [store.frame], () => this._moved());
    store.watch(() => [store.state, store.selected, store.doubts, store.lookedAt, store.hidden], () => this.draw());
  }

  /** @param {number} factor Above 1 shows fewer frames. @param {number} x What stays where it is; the current frame. */
  zoom(factor, x = this.scale.xOf(this.clip.positionOf(this.store.frame) + 0.5)) {
    this.scale = this.scale.zoomed(factor, x);
    this.draw();
  }

  draw() {
    if (this._asked) return;
    this._asked = true;
    requestAnimationFrame(() => {
      this._asked = false;
      this._draw();
    });
  }

  _listen(canvas) {
    let isDown = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      isDown = true;
      canvas.setPointerCapture(event.pointerId);
      this.store.set({ playing: false });
      this._press(event, canvas);
    });
    canvas.addEventListener("pointermove", (event) => isDown && this.go(this._frameAt(event, canvas)));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (isDown = false));
    canvas.addEventListener("wheel", (event) => this._wheel(event, canvas), { passive: false });
  }

  _frameAt(event, canvas) {
    const { left } = canvas.getBoundingClientRect();
    return this.clip.frameAt(this.scale.positionAt(event.clientX - left - INSET));
  }

  /** Go to the frame under the pointer; on a lane to its keyframe close by, and select its object. */
  _press(event, canvas) {
    const frame = this._frameAt(event, canvas);
    if (canvas === this.strip) return this.go(frame);
    const { left, top } = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - top + this.scroll.scrollTop) / LANE_HEIGHT);
    const object = this.store.state.objects[row];
    if (object) this.store.set({ selected: object.id });
    const x = event.clientX - left - INSET;
    const near = object?.keyframes.find((each) => Math.abs(this._middleOf(each.frame) - x) <= SNAP);
    return this.go(near ? near.frame : frame);
  }

  _wheel(event, canvas) {
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    const zooms = canvas === this.strip || event.ctrlKey;
    if (!zooms && !sideways) return;
    event.preventDefault();
    if (sideways) this.scale = this.scale.moved(sideways / this.scale.frameWidth);
    else this.scale = this.scale.zoomed(Math.exp(-event.deltaY * WHEEL), event.clientX - canvas.getBoundingClientRect().left - INSET);
    this.draw();
  }

  _middleOf(frame) {
    return this.scale.xOf(this.clip.positionOf(frame) + 0.5);
  }

  _moved() {
    const { frame } = this.store;
    this.scale = this.scale.showing(this.clip.positionOf(frame));
    const { strip, clip } = this;
    strip.setAttribute("aria-valuemin", clip.start);
    strip.setAttribute("aria-valuemax", clip.last);
    strip.setAttribute("aria-valuenow", frame);
    strip.setAttribute("aria-valuetext", `frame ${frame}, ${clock(clip.timeOf(frame))}`);
    this.draw();
  }

  _names() {
    const { objects } = this.store.state;
    const rows = objects.map((object) => {
      const dot = make("span", { className: "dot" });
      dot.style.background = object.color;
      const row = make("li", { title: counted(object.keyframes.length, "keyframe") }, dot, make("span", {}, nameOf(object)));
      row.classList.toggle("selected", object.id === this.store.selected);
      row.classList.toggle("hidden-object", this.store.hidden.has(object.id));
      row.addEventListener("click", () => this.store.set({ selected: object.id }));
      return row;
    });
    byId("lane-names").replaceChildren(...rows);
    byId("lanes-room").style.height = `${objects.length * LANE_HEIGHT}px`;
    show(byId("lanes-empty"), objects.length === 0);
    this._resize();
  }

  _resize() {
    const height = Math.min(this.scroll.clientHeight, this.store.state.objects.length * LANE_HEIGHT);
    const sizes = [[this.strip, this.strip.clientHeight], [this.canvas, height]];
    for (const [canvas, rows] of sizes) {
      canvas.width = Math.max(1, Math.round(this.strip.clientWidth * devicePixelRatio));
      canvas.height = Math.max(1, Math.round(rows * devicePixelRatio));
      if (canvas === this.canvas) canvas.style.height = `${rows}px`;
    }
    this.scale = this.scale.resized(this.strip.clientWidth - 2 * INSET);
    this.draw();
  }

  _draw() {
    const { store, scale, clip } = this;
    this.lanes.want(...scale.range());
    const size = { width: scale.width, height: this.strip.clientHeight };
    const context = cleared(this.strip);
    drawThumbs(context, size, scale, clip, this.frames, this.colours, () => this.draw());
    drawRuler(context, size, scale, clip, this.colours);
    if (store.state.propagated || store.doubtsNow.length > 0) drawDoubts(context, scale, clip, store.doubtsNow, store.lookedAt, this.colours);
    this._playhead(context, size.height);
    const lanes = cleared(this.canvas);
    lanes.translate(0, -this.scroll.scrollTop);
    for (const [row, object] of store.state.objects.entries()) this._lane(lanes, row * LANE_HEIGHT, object);
    lanes.translate(0, this.scroll.scrollTop);
    this._playhead(lanes, this.canvas.clientHeight);
  }

  _lane(context, top, object) {
    const { store, scale, colours: palette } = this;
    context.fillStyle = object.id === store.selected ? palette.panel : palette.ground;
    context.fillRect(-INSET, top, scale.width + 2 * INSET, LANE_HEIGHT - 1);
    context.fillStyle = palette.rule;
    context.fillRect(-INSET, top + LANE_HEIGHT - 1, scale.width + 2 * INSET, 1);
    context.globalAlpha = store.hidden.has(object.id) ? 0.4 : 1;
    const scores = this.lanes.scores[object.id];
    if (scores) drawScores(context, top, scores, this.lanes.first, scale, object.color, palette);
    for (const { frame, kind } of object.keyframes) drawKeyframe(context, this._middleOf(frame), top, kind, object.color, palette);
    context.globalAlpha = 1;
  }

  _playhead(context, height) {
    const { store, scale, colours: palette } = this;
    const x = scale.xOf(this.clip.positionOf(store.frame));
    const width = Math.max(2, scale.frameWidth);
    context.fillStyle = palette.accent;
    context.globalAlpha = width > 2 ? 0.28 : 1;
    context.fillRect(x, 0, width, height);
    context.globalAlpha = 1;
    context.fillRect(Math.round(x + width / 2) - 1, 0, 2, height);
  }
}

function cleared(canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.translate(INSET, 0);
  return context;
}
