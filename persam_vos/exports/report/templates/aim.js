// A click on a picture is a point of the command beside it; with Shift, one beside the object; dragging makes a box.
"use strict";
for (const place of document.querySelectorAll(".place")) {
  const aim = place.querySelector(".aim"), where = place.querySelector(".where");
  if (!aim || !where) continue;
  const drawn = aim.querySelector(".said"), width = +aim.dataset.width, height = +aim.dataset.height;
  const empty = where.textContent, clear = place.querySelector(".clear");
  let box = null, points = [], from = null;

  const pixel = (event) => {
    const edges = aim.getBoundingClientRect();
    const at = (value, length) => Math.max(0, Math.min(length - 1, Math.floor(value * length)));
    return [at((event.clientX - edges.left) / edges.width, width), at((event.clientY - edges.top) / edges.height, height)];
  };
  const around = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  const shape = (name, attributes) => {
    const added = document.createElementNS(drawn.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) added.setAttribute(key, value);
    drawn.append(added);
  };
  const show = () => {
    drawn.replaceChildren();
    if (box) shape("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], class: "inside" });
    for (const [x, y, inside] of points) {
      shape("circle", { cx: x, cy: y, r: Math.max(width, height) / 60, class: inside ? "inside" : "outside" });
    }
    const said = box ? ["--box " + box.join(",")] : [];
    said.push(...points.map(([x, y, inside]) => `--point ${x},${y}` + (inside ? "" : ",-")));
    where.textContent = said.join(" ") || empty;
    clear.hidden = !said.length;
  };

  aim.addEventListener("pointerdown", (event) => { from = event.button === 0 ? [event.clientX, event.clientY, pixel(event)] : null; });
  aim.addEventListener("pointerup", (event) => {
    if (!from) return;
    const [x, y, start] = from, dragged = Math.hypot(event.clientX - x, event.clientY - y) > 6;
    from = null;
    if (dragged) box = around(start, pixel(event));
    else points.push([...pixel(event), !event.shiftKey]);
    show();
  });
  aim.addEventListener("dragstart", (event) => event.preventDefault());
  clear.addEventListener("click", () => { box = null; points = []; show(); });
  place.querySelector(".how").hidden = false;
}
