// Comes in: the page. Goes out: the studio, put together from its parts.

import { Commands } from "./commands.js";
import * as api from "./data/api.js";
import { Edits } from "./data/edits.js";
import { listen } from "./data/events.js";
import { Frames } from "./data/frames.js";
import { keep } from "./data/kept.js";
import { Player } from "./data/player.js";
import { Store } from "./data/store.js";
import { keyTable } from "./key_table.js";
import { Keys } from "./keys.js";
import { Clip } from "./logic/clip.js";
import { byId, show } from "./panels/dom.js";
import { Doubts } from "./panels/doubts.js";
import { Export } from "./panels/export.js";
import { showHint } from "./panels/hint.js";
import { Messages } from "./panels/messages.js";
import { Objects } from "./panels/objects.js";
import { Propagate } from "./panels/propagate.js";
import { stageSigns } from "./panels/stage_signs.js";
import { Timeline } from "./panels/timeline.js";
import { toolbar } from "./panels/toolbar.js";
import { topBar } from "./panels/top_bar.js";
import { transport } from "./panels/transport.js";
import { Brush } from "./stage/brush.js";
import { Crosshair } from "./stage/crosshair.js";
import { Pointer } from "./stage/pointer.js";
import { Preview } from "./stage/preview.js";
import { Stage } from "./stage/stage.js";

/** Ask the server for the film. What was marked in it follows, once the server has loaded the network. */
async function load(store) {
  const [video, times] = await Promise.all([api.video(), api.times()]);
  const clip = new Clip(video, times, video.frame_rate ?? undefined);
  store.set({ video, clip, frame: clip.start });
  keep(store);
}

/** @param {Store} store With the film in it. */
function build(store) {
  const canvas = byId("stage");
  const frames = new Frames(store.video);
  const messages = new Messages(store);
  const edits = new Edits(store, (words, at) => messages.refuse(words, at));
  const stage = new Stage(canvas, store, frames);
  messages.follow(stage);
  const preview = new Preview(stage, (words) => messages.refuse(words));
  const brush = new Brush(stage, edits);
  const crosshair = new Crosshair(stage, edits, preview);
  const player = new Player(store, frames, () => stage.pictureWidth);
  const commands = new Commands(store, { stage, player, messages });

  const objects = new Objects(store, edits);
  const propagate = new Propagate(store);
  const doubts = new Doubts(store, frames);
  const exporting = new Export(store);
  new Timeline(store, frames, (frame) => commands.go(frame));
  transport(store, commands);

  const escape = () => pointer.cancel() || messages.close() || propagate.stop();
  const parts = { commands, edits, stage, doubts, objects, escape };
  const table = keyTable({
    ...parts,
    // A key may be quicker than the answer to the click before it.
    propagate: () => edits.last.then(() => propagate.start("all")),
    export: () => exporting.open(),
    help: () => keys.help(),
  });
  const keys = new Keys(table, { canvas, crosshair, play: () => commands.play() });
  const pointer = new Pointer(stage, { edits, brush, preview, keys });

  toolbar(store, stage);
  topBar(store, edits, frames);
  stageSigns(store, stage, preview);
  showHint(store);
  listen(store, {
    done: (done) => (done.kind === "export" ? exporting.done(done) : propagate.done(done.changed)),
    failed: ({ kind, error }) => {
      if (kind === "export") exporting.failed(error);
      else if (kind === "propagate") propagate.failed(error);
      else if (kind === "prepare") messages.refuse(error);
      else stop(error);
    },
  });
}

/** There is nothing to go on with. @param {string} words */
function stop(words) {
  byId("stop").textContent = words;
  show(byId("stop"), true);
  show(byId("app"), false);
}

async function begin() {
  const store = new Store();
  try {
    await load(store);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    stop(error.message);
    return;
  }
  build(store);
  byId("app").setAttribute("aria-busy", "false");
}

begin();
