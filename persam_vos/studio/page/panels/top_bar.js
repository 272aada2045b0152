// Comes in: the film, the state, and what is chosen of the view. Goes out: the bars at the top and at the bottom.

import { clock, counted, size } from "../logic/words.js";
import { byId, make, onPress, show } from "./dom.js";

/** Milliseconds between two looks at how full the caches are. */
const LOOK = 1000;

/**
 * @param {import("../data/store.js").Store} store
 * @param {import("../data/edits.js").Edits} edits
 * @param {import("../data/frames.js").Frames} frames
 */
export function topBar(store, edits, frames) {
  const { video, clip } = store;
  document.title = `${video.name} - persam-vos studio`;
  byId("video-name").textContent = video.name;
  byId("video-facts").textContent = [
    `${video.width} × ${video.height}`,
    counted(clip.count, "frame"),
    clock(video.duration),
    video.frame_rate === null ? "" : `${Number(video.frame_rate.toFixed(3))} fps`,
  ]
    .filter(Boolean)
    .join(" · ");
  byId("saved").textContent = `Saved after every action, in ${video.session}`;
  onPress(byId("undo"), () => edits.undo());
  onPress(byId("redo"), () => edits.redo());
  store.watch(() => [store.state], () => {
    byId("undo").disabled = !store.state.can_undo;
    byId("redo").disabled = !store.state.can_redo;
  });
  store.watch(() => [store.state.warnings], () => showWarnings(store.state.warnings));
  viewChoices(store);
  const look = () => {
    const { bytes, limit } = store.state.cache;
    byId("caches").textContent = `Pictures ${size(frames.bytes)} of ${size(frames.limit)} · Cache on disk ${size(bytes)} of ${size(limit)}`;
  };
  look();
  setInterval(look, LOOK);
}

function showWarnings(warnings) {
  const button = byId("warnings-open");
  show(button, warnings.length > 0);
  button.textContent = counted(warnings.length, "warning");
  byId("warning-list").replaceChildren(...warnings.map((each) => make("li", {}, each)));
}

function viewChoices(store) {
  const [masks, previews, opacity] = ["masks-shown", "previews", "opacity"].map(byId);
  masks.addEventListener("change", () => store.set({ masksShown: masks.checked }));
  previews.addEventListener("change", () => store.set({ previews: previews.checked }));
  opacity.addEventListener("input", () => store.set({ opacity: Number(opacity.value) / 100 }));
  store.watch(() => [store.masksShown, store.previews, store.opacity], () => {
    masks.checked = store.masksShown;
    previews.checked = store.previews;
    opacity.value = String(Math.round(100 * store.opacity));
  });
}
