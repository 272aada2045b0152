// Comes in: the store. Goes out: one sentence that says what to do next, and the button that does it stands out.

import { isMarked } from "../logic/keyframes.js";
import { nextStep } from "../logic/next_step.js";
import { nameOf } from "../logic/words.js";
import { byId, onPress, show } from "./dom.js";

/** The button of each step, and what its double beside the sentence is called, for windows where it is far below. */
const BUTTONS = {
  propagate: { id: "propagate-all", words: "Propagate" },
  doubt: { id: "next-doubt", words: "Next doubtful frame" },
  export: { id: "export-open", words: "Export…" },
};

/** Milliseconds that a mask may take before words say that it comes. */
const PATIENCE = 500;

/** @param {import("../data/store.js").Store} store */
export function showHint(store) {
  const double = byId("hint-button");
  let next = null;
  let late = 0;
  store.watch(() => [store.pending], () => {
    clearTimeout(late);
    const [first] = store.pending;
    const waits = first ? (first.box ? "box" : "click") : null;
    // What is answered at once changes no words.
    late = setTimeout(() => store.set({ waits }), waits ? PATIENCE : 0);
  });
  onPress(double, () => byId(next.id).click());
  const look = () => [store.state, store.selected, store.doubts, store.lookedAt, store.touch, store.waits, store.tool];
  store.watch(look, () => {
    const { state, object } = store;
    const step = nextStep({
      open: store.isOpen,
      marked: isMarked(state.objects),
      selectedMarked: object === undefined || object.keyframes.length > 0,
      selectedName: object ? nameOf(object) : "",
      propagated: state.propagated,
      job: state.job?.kind ?? null,
      doubts: store.doubtsLeft.length,
      waits: store.waits,
      touch: store.touch,
      tool: store.tool,
    });
    byId("hint").textContent = step.words;
    for (const [name, { id }] of Object.entries(BUTTONS)) byId(id).classList.toggle("primary", name === step.button);
    next = BUTTONS[step.button] ?? null;
    show(double, next !== null);
    double.textContent = next?.words ?? "";
  });
}
