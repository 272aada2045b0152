// Comes in: the toolbar's buttons. Goes out: another tool, its size, or another view of the frame.

import { byId, onPress, show } from "./dom.js";

/**
 * @param {import("../data/store.js").Store} store
 * @param {import("../stage/stage.js").Stage} stage
 */
export function toolbar(store, stage) {
  const buttons = [...document.querySelectorAll("[data-tool]:not(canvas)")];
  for (const button of buttons) onPress(button, () => store.set({ tool: button.dataset.tool }));
  onPress(byId("zoom-in"), () => stage.zoom(1.5));
  onPress(byId("zoom-out"), () => stage.zoom(1 / 1.5));
  onPress(byId("zoom-fit"), () => stage.fit());
  const size = byId("brush-size");
  size.addEventListener("input", () => store.set({ brushSize: Number(size.value) }));
  store.watch(() => [store.tool, store.brushSize], () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === store.tool));
    show(byId("brush-options"), store.tool === "brush" || store.tool === "eraser");
    size.value = store.brushSize;
    byId("brush-size-shown").textContent = `${store.brushSize} px`;
  });
}
