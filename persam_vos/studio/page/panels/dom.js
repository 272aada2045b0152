// Comes in: names of elements. Goes out: elements, found or made.

/** @template {HTMLElement} T @param {string} id @returns {T} */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, unknown>} given Properties, and attributes where there is a dash in the name.
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} name Of a symbol in icons.svg. @returns {SVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** @param {SVGElement} svg From `icon`. @param {string} name */
export function setIcon(svg, name) {
  svg.querySelector("use").setAttribute("href", `/page/icons.svg#${name}`);
}

/**
 * Call `act` on a click. A button that was pressed with the mouse gives the focus back, so that keys reach the canvas.
 * @param {HTMLElement} button @param {(event: MouseEvent) => void} act
 */
export function onPress(button, act) {
  button.addEventListener("click", (event) => {
    if (event.detail > 0) button.blur();
    act(event);
  });
}

/** Show or hide an element. @param {HTMLElement} element @param {boolean} isShown */
export function show(element, isShown) {
  element.hidden = !isShown;
}
