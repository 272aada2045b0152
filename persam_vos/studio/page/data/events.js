// Comes in: the server's events. Goes out: the store is kept up to date, and news are told.

import * as api from "./api.js";

/** Milliseconds between two tries to reach a server that has gone. */
const TRY_AGAIN = 2000;

/**
 * @typedef {Object} News
 * @property {(done: {kind: string, changed?: [number, number][], folder?: string, files?: string[]}) => void} done
 * @property {(failed: {kind: string, error: string}) => void} failed
 */

/**
 * Listen until the page is left.
 * @param {import("./store.js").Store} store
 * @param {News} news
 */
export function listen(store, news) {
  const source = new EventSource("/api/events");
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  on("state", (state) => store.take(state));
  on("progress", (job) => {
    store.progress(job);
  });
  on("prepared", ({ frame }) => {
    const prepared = [...store.state.prepared.filter((each) => each !== frame), frame];
    store.set({ state: { ...store.state, prepared } });
  });
  on("done", (done) => {
    store.set({ state: { ...store.state, job: null } });
    news.done(done);
    refresh(store);
  });
  on("failed", (failed) => {
    store.set({ state: { ...store.state, job: null } });
    news.failed(failed);
    refresh(store);
  });
  source.addEventListener("open", () => {
    if (!store.connected) refresh(store);
    store.set({ connected: true });
  });
  source.addEventListener("error", () => {
    store.set({ connected: false });
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(store, news), TRY_AGAIN);
  });
  addEventListener("pagehide", () => source.close());
}

/** Ask for the state as it is now. @param {import("./store.js").Store} store */
export async function refresh(store) {
  try {
    store.take(await api.state());
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    // The next event, or the next try to reach the server, brings the state.
  }
}
