// Comes in: the store. Goes out: one sentence that says what to do next, and the button that does it stands out.

import { isMarked } from "../logic/keyframes.js";
import { nextStep } from "../logic/next_step.js";
import { nameOf } from "../logic/words.js";
import { byId } from "./dom.js";

const BUTTONS = { propagate: "propagate-all", doubt: "next-doubt", export: "export-open" };

/** @param {import("../data/store.js").Store} store */
export function showHint(store) {
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
    for (const [name, id] of Object.entries(BUTTONS)) byId(id).classList.toggle("primary", name === step.button);
  });
}
