// Comes in: the page. Goes out: the studio, put together from its parts.

import { Commands } from "./commands.js";
import * as api from "./data/api.js";
import { Edits } from "./data/edits.js";
import { listen } from "./data/events.js";
import { Frames } from "./data/frames.js";
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

/** Ask the server for the film and the state of the session. */
async function load(store) {
  const [video, times, state] = await Promise.all([api.video(), api.times(), api.state()]);
  const clip = new Clip(video, times, video.frame_rate);
  const marked = state.objects.flatMap((each) => each.keyframes.map((keyframe) => keyframe.frame));
  Object.assign(store, { video, clip, frame: marked[0] ?? clip.start });
  store.take(state);
}

/** @param {Store} store With the film in it. */
function build(store) {
  const canvas = byId("stage");
  const frames = new Frames(store.video);
  const messages = new Messages(store);
  const edits = new Edits(store, (words, at) => messages.refuse(words, at));
  const stage = new Stage(canvas, store, frames);
  messages.follow(stage);
  const preview = new Preview(stage);
  const brush = new Brush(stage, edits);
  const crosshair = new Crosshair(stage, edits, preview);
  const player = new Player(store, frames, () => stage.pictureWidth);
  const commands = new Commands(store, { stage, player, messages });

  const objects = new Objects(store, edits);
  const propagate = new Propagate(store);
  const doubts = new Doubts(store);
  const exporting = new Export(store);
  new Timeline(store, frames, (frame) => commands.go(frame));
  transport(store, commands);

  const escape = () => pointer.cancel() || messages.close() || propagate.stop();
  const parts = { commands, edits, stage, doubts, objects, escape };
  const table = keyTable({
    ...parts,
    propagate: () => propagate.start("all"),
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
    progress: () => {},
    done: (done) => (done.kind === "export" ? exporting.done(done) : propagate.done(done.changed)),
    failed: ({ kind, error }) => (kind === "export" ? exporting.failed(error) : propagate.failed(error)),
  });
  canvas.focus({ preventScroll: true });
}

async function begin() {
  const store = new Store();
  try {
    await load(store);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    byId("stop").textContent = error.message;
    show(byId("stop"), true);
    show(byId("app"), false);
    return;
  }
  build(store);
  byId("app").setAttribute("aria-busy", "false");
}

begin();
