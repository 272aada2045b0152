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
 * Listen while the page is shown, also after it was left and has come back.
 * @param {import("./store.js").Store} store
 * @param {News} news
 */
export function listen(store, news) {
  let source = null;
  let later = 0;
  const begin = () => {
    const begun = open(store, news);
    source = begun;
    begun.addEventListener("error", async () => {
      const isClosed = begun.readyState === EventSource.CLOSED;
      const trouble = isClosed ? await whyNot() : api.GONE;
      if (source !== begun) return;
      store.set({ connected: false, trouble });
      if (isClosed) later = setTimeout(begin, TRY_AGAIN);
    });
  };
  begin();
  addEventListener("pagehide", () => {
    clearTimeout(later);
    source.close();
    source = null;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) begin();
  });
}

/** @returns {Promise<string>} Why the server lets nobody listen, in words. */
async function whyNot() {
  const stop = new AbortController();
  try {
    await api.events(stop.signal);
    return "";
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    return error.message;
  } finally {
    stop.abort();
  }
}

/** Listen once. @returns {EventSource} */
function open(store, news) {
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
  const ends = ({ kind }) => {
    if (store.state.job?.kind === kind) store.set({ state: { ...store.state, job: null } });
  };
  on("done", (done) => {
    ends(done);
    news.done(done);
    refresh(store);
  });
  on("failed", (failed) => {
    ends(failed);
    if (failed.kind === "prepare") store.set({ unready: store.frame });
    news.failed(failed);
    refresh(store);
  });
  source.addEventListener("open", () => {
    if (!store.connected) refresh(store);
    store.set({ connected: true, trouble: "" });
  });
  return source;
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
