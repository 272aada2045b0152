// Comes in: what the studio can do. Goes out: which key does it, in the order in which the page lists them.

/**
 * @param {Object} parts
 * @param {import("./commands.js").Commands} parts.commands
 * @param {import("./data/edits.js").Edits} parts.edits
 * @param {import("./stage/stage.js").Stage} parts.stage
 * @param {import("./panels/doubts.js").Doubts} parts.doubts
 * @param {import("./panels/objects.js").Objects} parts.objects
 * @param {() => void} parts.escape Give up what is under way.
 * @param {() => void} parts.propagate
 * @param {() => void} parts.export
 * @param {() => void} parts.help
 * @returns {import("./keys.js").Key[]}
 */
export function keyTable(parts) {
  const { commands, edits, stage, doubts, objects } = parts;
  const { store } = commands;
  const group = (name, rows) => rows.map(([keys, words, act]) => ({ group: name, keys, words, act }));
  const digits = Array.from({ length: 9 }, (_, i) => [[String(i + 1)], "", () => commands.select(i + 1)]);
  const shown = [
    ...group("Film", [
      [[" "], "Play or pause; held, the mouse moves the picture", () => commands.play()],
      [["ArrowLeft", ","], "Previous frame", () => commands.step(-1)],
      [["ArrowRight", "."], "Next frame", () => commands.step(1)],
      [["Shift+ArrowLeft"], "10 frames back", () => commands.step(-10)],
      [["Shift+ArrowRight"], "10 frames on", () => commands.step(10)],
      [["Home"], "First frame", () => commands.go(store.clip.start)],
      [["End"], "Last frame", () => commands.go(store.clip.last)],
      [["Shift+k"], "Previous keyframe", () => commands.keyframe(-1)],
      [["k"], "Next keyframe", () => commands.keyframe(1)],
      [["Shift+d"], "Previous doubtful frame", () => doubts.go(-1)],
      [["d"], "Next doubtful frame", () => doubts.go(1)],
    ]),
    ...group("Mark", [
      [["c"], "Mark: click, or drag a box", () => commands.take("mark")],
      [["x"], "Take away; right-click and Alt-click do so with every tool", () => commands.take("away")],
      [["b"], "Brush", () => commands.take("brush")],
      [["e"], "Eraser", () => commands.take("eraser")],
      [["["], "Smaller brush", () => commands.brush(-1)],
      [["]"], "Larger brush; or Shift and the wheel", () => commands.brush(1)],
      [["h"], "Move the picture", () => commands.take("hand")],
      [["Enter"], "A crosshair: arrow keys move it, Enter marks, Shift+Enter takes away", () => stage.canvas.focus()],
      [["a"], "The object is not in this frame", () => edits.absent()],
      [["Delete", "Backspace"], "Clear this frame: take back what was said on it", () => edits.forget()],
      [["Ctrl+z"], "Undo", () => edits.undo()],
      [["Ctrl+Shift+z", "Ctrl+y"], "Redo", () => edits.redo()],
    ]),
    ...group("Objects", [
      [["n"], "New object", () => edits.newObject()],
      [["1"], "Select the first object; 2 to 9 the others", () => commands.select(1)],
      [["F2", "r"], "Name the selected object", () => commands.rename()],
      [["v"], "Hide or show the selected object", () => objects.toggle(store.selected)],
    ]),
    ...group("All", [
      [["p"], "Propagate to all frames", () => parts.propagate()],
      [["Escape"], "Give up what is being drawn; stop propagating", () => parts.escape()],
      [["s"], "Export", () => parts.export()],
    ]),
    ...group("View", [
      [["m"], "Hide or show all masks", () => commands.toggleMasks()],
      [["+", "="], "Zoom in; or the wheel", () => stage.zoom(1.5)],
      [["-"], "Zoom out", () => stage.zoom(1 / 1.5)],
      [["f"], "Show all of the frame", () => stage.fit()],
      [["?"], "These keys", () => parts.help()],
    ]),
  ];
  return [...shown, ...group("", digits.slice(1))];
}
