// Comes in: where a person is in the film, and with which tool. Goes out: the same after the page is loaded again.

/** @typedef {{frame: number, selected: number, tool: import("./store.js").Tool, brushSize: number, opacity: number, previews: boolean}} Kept */

/** What is kept as long as the browser's tab is there. */
const NAMES = ["frame", "selected", "tool", "brushSize", "opacity", "previews"];

/** Take up what was kept, and keep it from now on. @param {import("./store.js").Store} store With the film in it. */
export function keep(store) {
  const key = `studio ${store.video.session}`;
  const kept = read(key);
  if (kept) store.set({ ...kept, frame: store.clip.frameAt(store.clip.positionOf(kept.frame)) });
  store.watch(() => NAMES.map((name) => store[name]), () => write(key, Object.fromEntries(NAMES.map((name) => [name, store[name]]))));
}

/** @param {string} key @returns {Kept | null} null if nothing was kept, or by another version of the page. */
function read(key) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key));
    return kept && NAMES.every((name) => name in kept) && Number.isFinite(kept.frame) ? kept : null;
  } catch {
    return null; // the browser keeps nothing
  }
}

/** @param {string} key @param {Kept} kept */
function write(key, kept) {
  try {
    sessionStorage.setItem(key, JSON.stringify(kept));
  } catch {
    // The browser keeps nothing: the page begins anew when it is loaded again.
  }
}
