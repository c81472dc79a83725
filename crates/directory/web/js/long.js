// Long lists: the first rows, more on request, and a filter box.
import { h, show } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

const STEP = 200;
/** Lists longer than this have a filter box. */
const MANY = 12;

/** A list of `items`, each drawn by `row`, `STEP` at a time. */
export function longList(items, row) {
  const list = h("ul", { class: "card list" }, items.slice(0, STEP).map(row));
  if (items.length <= STEP) return list;
  const left = () => items.length - list.children.length;
  const button = h("button", { type: "button" });
  const rest = h("p", { class: "row centred" }, button);
  const say = () => show(button, t("more_of", { count: number(left()) }));
  button.addEventListener("click", () => {
    const first = list.children.length;
    list.append(...items.slice(first, first + STEP).map(row));
    if (left() > 0) say(); else rest.remove();
    list.children[first].querySelector("a, button, select")?.focus();
  });
  say();
  return h("div", { class: "stack" }, list, rest);
}

/** A list with a filter box, which matches the text of `words`. */
export function narrowed(items, row, words) {
  if (items.length <= MANY) return longList(items, row);
  const list = h("div", {}, longList(items, row));
  const said = h("p", { class: "quiet", role: "status" });
  const box = h("input", { id: "narrow", type: "search", autocomplete: "off", spellcheck: "false", placeholder: t("narrow"), "aria-label": t("narrow") });
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    const left = items.filter((item) => words(item).toLowerCase().includes(wanted));
    show(list, left.length > 0 ? longList(left, row) : h("p", { class: "soft" }, t("nothing")));
    show(said, t("left_of", { count: number(left.length), all: number(items.length) }));
  });
  return h("div", { class: "stack" }, box, said, list);
}

/**
 * A list that is updated in place: `follow(items)` adds, updates and removes rows, and keeps the focus, the scroll
 * position and the filter. `make(item)` returns a row: its `line`, and `update(item)`, which updates it in place.
 */
export function following(key, make, words) {
  const list = h("ul", { class: "card list" });
  const rows = new Map();
  const box = h("input", { id: "narrow", type: "search", autocomplete: "off", spellcheck: "false", placeholder: t("narrow"), "aria-label": t("narrow") });
  const said = h("p", { class: "quiet", role: "status" });
  const none = h("p", { class: "soft", hidden: true }, t("nothing"));
  const button = h("button", { type: "button" });
  const rest = h("p", { class: "row centred" }, button);
  let items = [];
  let most = STEP;
  function draw() {
    const wanted = box.value.trim().toLowerCase();
    box.hidden = items.length <= MANY && !wanted;
    const left = wanted ? items.filter((item) => words(item).toLowerCase().includes(wanted)) : items;
    const there = left.slice(0, most);
    const names = new Set(there.map(key));
    for (const [name, row] of rows) if (!names.has(name)) { row.line.remove(); rows.delete(name); }
    there.forEach((item, at) => {
      const row = rows.get(key(item)) ?? make(item);
      rows.set(key(item), row);
      row.update(item);
      if (list.children[at] !== row.line) list.insertBefore(row.line, list.children[at] ?? null);
    });
    none.hidden = left.length > 0;
    rest.hidden = left.length <= most;
    show(button, t("more_of", { count: number(left.length - there.length) }));
    return left.length;
  }
  box.addEventListener("input", () => show(said, t("left_of", { count: number(draw()), all: number(items.length) })));
  button.addEventListener("click", () => {
    const first = list.children.length;
    most += STEP;
    draw();
    list.children[first]?.querySelector("a, button, select")?.focus();
  });
  return { element: h("div", { class: "stack" }, box, said, list, none, rest), follow: (now) => { items = now; draw(); } };
}
