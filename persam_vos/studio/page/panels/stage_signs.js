// Comes in: what the canvas waits for. Goes out: a spinner where it waits, and what it shows in words for screen readers.

import { keyframeAt } from "../logic/keyframes.js";
import { counted, nameOf } from "../logic/words.js";
import { byId, show } from "./dom.js";

/** Milliseconds that something may take before a spinner says so. */
const PATIENCE = 150;

/**
 * @param {import("../data/store.js").Store} store
 * @param {import("../stage/stage.js").Stage} stage
 * @param {import("../stage/preview.js").Preview} preview
 */
export function stageSigns(store, stage, preview) {
  const late = { loading: 0, busy: 0, preparing: 0 };
  const soon = (name, isOn) => {
    clearTimeout(late[name]);
    if (!isOn) show(byId(name), false);
    else late[name] = setTimeout(() => show(byId(name), true), PATIENCE);
  };
  let [wasLoading, wasBusy, wasPreparing] = [false, false, false];
  stage.painters.push(() => {
    const { shown } = stage;
    const isLoading = shown.isWaiting && !store.playing;
    if (isLoading !== wasLoading) soon("loading", (wasLoading = isLoading));
    byId("loading").classList.toggle("error", shown.trouble !== "");
    byId("loading-words").textContent = shown.trouble || `Loading frame ${store.frame}`;
  });
  store.watch(() => [store.busy > 0], () => {
    if (store.busy > 0 !== wasBusy) soon("busy", (wasBusy = store.busy > 0));
  });
  store.watch(() => [store.frame, store.state.prepared, store.playing, store.unready], () => {
    const isPreparing = !preview.isPrepared && !store.playing && store.unready !== store.frame;
    if (isPreparing !== wasPreparing) soon("preparing", (wasPreparing = isPreparing));
  });
  stage.canvas.addEventListener("pointerdown", (event) => {
    const place = stage.placeOf(event);
    if (!stage.hits(place)) return; // nothing is said there
    byId("busy").style.left = `${place.x}px`;
    byId("busy").style.top = `${place.y}px`;
  });
  store.watch(() => [store.frame, store.state.objects], () => {
    const { objects } = store.state;
    const marked = objects.filter((each) => keyframeAt(each, store.frame)).map(nameOf);
    const words = marked.length > 0 ? `marked here: ${marked.join(", ")}` : counted(objects.length, "object");
    stage.canvas.setAttribute("aria-label", `Frame ${store.frame}, ${words}`);
  });
}
