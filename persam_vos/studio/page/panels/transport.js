// Comes in: buttons of the transport row, and a typed number. Goes out: another frame; where the film is, in words.

import { clock } from "../logic/words.js";
import { byId, onPress } from "./dom.js";

/**
 * @param {import("../data/store.js").Store} store
 * @param {import("../commands.js").Commands} commands
 */
export function transport(store, commands) {
  onPress(byId("play"), () => commands.play());
  onPress(byId("previous-frame"), () => commands.step(-1));
  onPress(byId("next-frame"), () => commands.step(1));
  onPress(byId("previous-keyframe"), () => commands.keyframe(-1));
  onPress(byId("next-keyframe"), () => commands.keyframe(1));
  const number = byId("frame-number");
  const { clip } = store;
  Object.assign(number, { min: clip.start, max: clip.last, step: clip.step });
  number.addEventListener("change", () => {
    if (number.value !== "") commands.go(clip.frameAt(clip.positionOf(Number(number.value))));
    number.value = store.frame;
  });
  number.addEventListener("keydown", (event) => {
    if (event.key === "Enter") queueMicrotask(() => number.blur());
  });
  store.watch(() => [store.frame], () => {
    if (document.activeElement !== number || store.playing) number.value = store.frame;
    byId("frame-time").textContent = `of ${clip.last} · ${clock(clip.timeOf(store.frame))} / ${clock(clip.timeOf(clip.last))}`;
  });
  store.watch(() => [store.playing], () => {
    const { playing } = store;
    byId("play-icon").setAttribute("href", `/page/icons.svg#${playing ? "pause" : "play"}`);
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    byId("play").title = `${playing ? "Pause" : "Play"} (Space)`;
  });
}
