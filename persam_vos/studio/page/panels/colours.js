// Comes in: the style sheet's colours. Goes out: the same for what is drawn on canvases, light or dark.

/** @typedef {{ground: string, panel: string, rule: string, faint: string, text: string, accent: string, warn: string}} Colours */

const NAMES = ["ground", "panel", "rule", "faint", "text", "accent", "warn"];

/** @returns {Colours} As they are now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** @param {() => void} act Called when the system turns light or dark. */
export function onScheme(act) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act);
}
