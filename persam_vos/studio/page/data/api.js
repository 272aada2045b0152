// Comes in: what to ask of the server. Goes out: its answer, or an ApiError with words for a person.

/** The server refused something, or cannot be reached. */
export class ApiError extends Error {
  /** @param {string} words @param {number} status HTTP status; 0 if there was no answer. */
  constructor(words, status) {
    super(words);
    this.name = "ApiError";
    this.status = status;
  }
}

export const GONE =
  "The studio’s program cannot be reached. Start persam-vos studio again with the same clip; what you marked is saved.";

/**
 * @param {string} method @param {string} path
 * @param {{json?: unknown, png?: Blob, signal?: AbortSignal}} options
 * @returns {Promise<Response>}
 */
async function ask(method, path, { json, png, signal } = {}) {
  const headers = {};
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (png !== undefined) headers["Content-Type"] = "image/png";
  const body = json === undefined ? png : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(GONE, 0);
  }
  if (!response.ok) throw new ApiError(await wordsOf(response), response.status);
  return response;
}

const STARTED_ANEW = "The studio has been started anew: open the new address that it has printed.";

async function wordsOf(response) {
  if (response.status === 401) return STARTED_ANEW;
  try {
    const { error } = await response.json();
    if (error) return error;
  } catch {
    // No JSON: the words below do.
  }
  if (response.status === 403) {
    return "This page is not let in. Open the address that persam-vos studio has printed.";
  }
  return `The studio's program answered with status ${response.status}.`;
}

const json = async (response) => (await response).json();
const blob = async (response) => (await response).blob();
/** @typedef {import("./types.js").State} State */

/** @returns {Promise<import("./types.js").Video>} */
export const video = () => json(ask("GET", "/api/video"));
/** @returns {Promise<number[]>} Seconds of each frame of the session. */
export const times = () => json(ask("GET", "/api/times"));
/** @returns {Promise<State>} */
export const state = () => json(ask("GET", "/api/state"));
/** @returns {Promise<{revision: number, start: number, stop: number, step: number, scores: Object<string, (number | null)[]>}>} */
export const lanes = (start, stop) => json(ask("GET", `/api/lanes?start=${start}&stop=${stop}`));
/** @returns {Promise<import("./types.js").Doubt[]>} */
export const doubtful = (count) => json(ask("GET", `/api/doubtful?count=${count}`));

/** @returns {string} Address of a frame's picture; width 0 for the stored one. */
export const pictureUrl = (frame, width) => `/api/frames/${frame}.jpg${width ? `?width=${width}` : ""}`;
/** @returns {string} Address of a frame's label map. */
export const maskUrl = (frame, revision) => `/api/masks/${frame}.png?r=${revision}`;
/** @returns {Promise<Blob>} */
export const bytesOf = (url, signal) => blob(ask("GET", url, { signal }));

/** @returns {Promise<State & {id: number}>} */
export const addObject = () => json(ask("POST", "/api/objects", { json: {} }));
/** @returns {Promise<State>} */
export const changeObject = (id, changes) => json(ask("PATCH", `/api/objects/${id}`, { json: changes }));
/** @returns {Promise<State>} */
export const removeObject = (id) => json(ask("DELETE", `/api/objects/${id}`));
/** @returns {Promise<State>} */
export const click = (id, frame, { x, y }, positive) =>
  json(ask("POST", `/api/objects/${id}/clicks/${frame}`, { json: { x, y, positive } }));
/** @returns {Promise<State>} */
export const prompt = (id, frame, said) => json(ask("PUT", `/api/objects/${id}/prompts/${frame}`, { json: said }));
/** @returns {Promise<State>} */
export const promptMask = (id, frame, png) => json(ask("PUT", `/api/objects/${id}/prompts/${frame}`, { png }));
/** @returns {Promise<State>} */
export const forgetPrompt = (id, frame) => json(ask("DELETE", `/api/objects/${id}/prompts/${frame}`));
/** @returns {Promise<State>} */
export const undo = () => json(ask("POST", "/api/undo"));
/** @returns {Promise<State>} */
export const redo = () => json(ask("POST", "/api/redo"));

/** @returns {Promise<Blob>} A greyscale PNG, 255 where the object would be. */
export const preview = (frame, id, points, signal) =>
  blob(ask("POST", `/api/preview/${frame}`, { json: { object: id, points, box: null }, signal }));
/** Listen, as EventSource does, to learn why it may not. @param {AbortSignal} signal */
export const events = (signal) => ask("GET", "/api/events", { signal });
export const prepare = (frame) => ask("POST", `/api/prepare/${frame}`);
/** @param {"all" | "forward" | "backward" | "to_next"} what @param {number} frame */
export const propagate = (what, frame) => ask("POST", "/api/propagate", { json: { what, frame } });
export const stopPropagating = () => ask("DELETE", "/api/propagate");
/** @param {string[]} exports @param {Object<string, unknown>} options */
export const exportFiles = (exports, options) => ask("POST", "/api/export", { json: { exports, options } });
export const stopExporting = () => ask("DELETE", "/api/export");
