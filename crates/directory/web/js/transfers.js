// Active transfers, as the directory reports them, and the user's remote downloads.
import { get } from "./api.js";
import { h, icon, show } from "./dom.js";
import { bytes, rate, visible } from "./format.js";
import { t } from "./i18n.js";
import { hear } from "./live.js";
import { empty } from "./notice.js";

const isOver = (load) => load.state === "done" || load.state === "failed";

/** A row that is updated in place, so that the focus and a screen reader keep their position. */
function makeRow(one) {
  const name = visible(one.name || one.hash);
  const meta = h("span", { class: "meta" });
  const bar = h("progress", { max: 100, "aria-label": t("progress_of", { name }) });
  const sum = h("span", { class: "num" });
  const line = h("li", {}, h("div", { class: "item" },
    h("span", { class: "kind" }, icon(one.direction === "sending" ? "up" : "down")),
    h("span", { class: "what" }, h("a", { class: "name", href: `#/file/${one.hash}` }, name), meta, bar), sum));
  const update = (now) => {
    const isFinished = now.state === "done";
    bar.value = isFinished ? 100 : now.size > 0 ? Math.min(100, Math.floor((now.bytes / now.size) * 100)) : 0;
    bar.hidden = isFinished || now.state === "failed";
    show(meta, h("span", {}, visible(now.peer)), now.direction && h("span", {}, t(`direction_${now.direction}`)),
      now.state && h("span", { class: `chip ${now.state === "failed" ? "off" : ""}` }, t(`state_${now.state}`)), now.message && h("span", {}, visible(now.message)));
    show(sum, isFinished || isOver(now) ? bytes(now.size) : `${bytes(now.bytes)} / ${bytes(now.size)} · ${rate(now.rate)}`);
  };
  update(one);
  return { line, update };
}

/** A list that keeps, adds and removes rows by `key`. */
function keyed(key) {
  const list = h("ul", { class: "card list" });
  const rows = new Map();
  const follow = (items) => {
    const now = new Map(items.map((item) => [key(item), item]));
    for (const [name, row] of rows) if (!now.has(name)) { row.line.remove(); rows.delete(name); }
    for (const [name, item] of now) {
      if (rows.has(name)) rows.get(name).update(item);
      else rows.set(name, makeRow(item));
    }
    const lines = [...now.keys()].map((name) => rows.get(name).line);
    lines.forEach((line, at) => { if (list.children[at] !== line) list.insertBefore(line, list.children[at] ?? null); });
  };
  return { list, follow };
}

export async function open(main, { signal }) {
  const moving = keyed((one) => `${one.direction} ${one.peer} ${one.hash}`);
  const loads = keyed((one) => one.load);
  const none = h("div", {});
  const loaded = h("section", { class: "stack", hidden: true }, h("h2", {}, t("loads")), loads.list);
  const now = { transfers: [], loads: [] };
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_transfers"))), h("div", { class: "stack-l" }, none, moving.list, loaded));
  const draw = () => {
    moving.follow(now.transfers);
    loads.follow(now.loads);
    moving.list.hidden = now.transfers.length === 0;
    loaded.hidden = now.loads.length === 0;
    if (now.transfers.length + now.loads.length > 0) show(none);
    else if (!none.hasChildNodes()) show(none, empty("moves", t("no_transfers_title"), t("no_transfers_text")));
  };
  now.loads = (await get("/loadfiles", { limit: 50 }, signal)).loads;
  draw();
  for (const name of ["transfers", "loads"]) hear(name, (told) => { now[name] = told?.[name] ?? []; draw(); }, signal);
}
