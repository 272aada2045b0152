// Comes in: the parts of the studio. Goes out: what a person can tell it to do, for buttons and keys alike.

import { framesWithKeyframes, nextOf } from "./logic/keyframes.js";
import { byId } from "./panels/dom.js";

/** Brush sizes grow and shrink by this factor. */
const BRUSH_STEP = 1.25;

/** What the studio does at a word. */
export class Commands {
  /**
   * @param {import("./data/store.js").Store} store
   * @param {{stage: import("./stage/stage.js").Stage, player: import("./data/player.js").Player,
   *   messages: import("./panels/messages.js").Messages}} parts
   */
  constructor(store, { stage, player, messages }) {
    Object.assign(this, { store, stage, player, messages });
  }

  /** @param {number} frame */
  go(frame) {
    this.store.set({ frame });
  }

  /** @param {number} by Frames, below 0 back. */
  step(by) {
    this.store.set({ playing: false, frame: this.store.clip.stepped(this.store.frame, by) });
  }

  play() {
    this.player.toggle();
  }

  /** @param {1 | -1} direction */
  keyframe(direction) {
    const frames = framesWithKeyframes(this.store.state.objects);
    const frame = nextOf(frames, this.store.frame, direction);
    if (frame !== undefined) this.store.set({ playing: false, frame });
    else this.messages.refuse(direction > 0 ? "There is no keyframe after this frame." : "There is no keyframe before this frame.");
  }

  /** @param {import("./data/store.js").Tool} tool */
  take(tool) {
    this.store.set({ tool });
  }

  /** @param {1 | -1} direction */
  brush(direction) {
    const { brushSize } = this.store;
    const size = direction > 0 ? Math.max(brushSize + 1, brushSize * BRUSH_STEP) : Math.min(brushSize - 1, brushSize / BRUSH_STEP);
    this.store.set({ brushSize: Math.round(Math.min(Math.max(size, 1), 200)) });
  }

  /** @param {number} place From 1, as in the list. */
  select(place) {
    const object = this.store.state.objects[place - 1];
    if (object) this.store.set({ selected: object.id });
  }

  toggleMasks() {
    this.store.set({ masksShown: !this.store.masksShown });
  }

  /** Write the selected object's name. */
  rename() {
    const field = byId("objects").querySelector("[aria-current=true] .object-name");
    field?.focus();
    field?.select();
  }
}
