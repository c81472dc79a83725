// Builds the page. Text only becomes text nodes, so that a name cannot be markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Creates an element with attributes, listeners (`onclick`) and children; strings become text. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** Creates an SVG element in the same way. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Replaces the contents of `element` with `children`. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat(3).filter(Boolean));
  return element;
}

const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  folder: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  peer: "M4 5h16v11H4zM9 20h6M12 16v4",
  moves: "M7 4v15m0 0-4-4m4 4 4-4M17 20V5m0 0-4 4m4-4 4 4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1.5 1.5m11 11L19 19M19 5l-1.5 1.5m-11 11L5 19",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-4 4-6 8-6s8 2 8 6",
  up: "M12 20V8m0 0-5 5m5-5 5 5M5 4h14",
  down: "M12 4v12m0 0-5-5m5 5 5-5M5 20h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  turned: "m9 6 6 6-6 6",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
};

/** A decorative drawing, hidden from screen readers. */
export const icon = (name) =>
  s("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    s("path", { d: PATHS[name] }));

/** The logo. */
export const mark = () =>
  s("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 1.8, "aria-hidden": "true" },
    s("path", { d: "M12 12 5 6m7 6 7-6m-7 6v8" }), s("circle", { cx: 12, cy: 12, r: 3.2, fill: "currentColor" }),
    [[5, 6], [19, 6], [12, 20]].map(([cx, cy]) => s("circle", { cx, cy, r: 2.2, fill: "currentColor" })));
