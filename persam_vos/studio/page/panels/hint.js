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

/** @param {import("../data/store.js").Store} store */
export function showHint(store) {
  const double = byId("hint-button");
  let next = null;
  onPress(double, () => byId(next.id).click());
  const look = () => [store.state, store.selected, store.doubts, store.lookedAt, store.touch];
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
      touch: store.touch,
    });
    byId("hint").textContent = step.words;
    for (const [name, { id }] of Object.entries(BUTTONS)) byId(id).classList.toggle("primary", name === step.button);
    next = BUTTONS[step.button] ?? null;
    show(double, next !== null);
    double.textContent = next?.words ?? "";
  });
}
