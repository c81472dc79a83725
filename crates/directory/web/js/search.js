// Search as one types. An older answer is never shown over a newer one: each question calls off the one before.
import { all, get } from "./api.js";
import { h, icon, show } from "./dom.js";
import { bytes, ending, size, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { hear } from "./live.js";
import { bones, command, empty, trouble } from "./notice.js";

const KINDS = ["archive", "audio", "code", "document", "image", "video"];
/** So many peers are there to choose from; of more, what is shared is not summed up. */
const PEERS = 500;
const kept = { q: "", type: "", min: "", max: "", newer: "", peer: "", space: "", sort: "" };

/** A name with its matching parts marked; `matches` count characters, not UTF-16 units. */
function marked(hit) {
  const letters = [...hit.name];
  const parts = [];
  let at = 0;
  for (const [from, to] of hit.matches ?? []) {
    parts.push(visible(letters.slice(at, from).join("")), h("mark", {}, visible(letters.slice(from, to).join(""))));
    at = to;
  }
  return [...parts, visible(letters.slice(at).join(""))];
}

function row(hit) {
  const more = hit.names.length - 1;
  return h("li", {}, h("a", { class: "item", href: `#/file/${hit.hash}` },
    h("span", { class: "kind", "aria-hidden": "true" }, ending(hit.name) || icon("file")),
    h("span", { class: "what" }, h("span", { class: "name" }, marked(hit)),
      h("span", { class: "meta" }, h("span", {}, many("providers", hit.providers)), more > 0 && h("span", {}, many("more_names", more)), kept.q.trim() && hit.matches?.length === 0 && h("span", {}, t("match_elsewhere")))),
    h("span", { class: "num" }, bytes(hit.size))));
}

const choice = (id, label, options) =>
  h("div", {}, h("label", { for: id }, label),
    h("select", { id }, options.map(([value, text]) => h("option", { value, selected: kept[id] === value }, text))));

const entry = (id, label, hint) =>
  h("div", {}, h("label", { for: id }, label), h("input", { id, value: kept[id], placeholder: hint, autocomplete: "off" }));

export async function open(main, { me, signal: left }) {
  const peers = all("/peers", "peers", {}, { most: PEERS, signal: left }).catch(() => []);
  const box = h("input", { id: "q", type: "search", value: kept.q, placeholder: t("search_hint"), autocomplete: "off", spellcheck: "false", maxlength: 900 });
  const count = h("p", { class: "count", role: "status" });
  const found = h("div", {});
  const filters = h("div", { class: "filters", role: "group", "aria-label": t("filters") },
    choice("type", t("kind"), [["", t("any")], ...KINDS.map((kind) => [kind, t(`kind_${kind}`)])]),
    entry("min", t("min_size"), "10 MiB"), entry("max", t("max_size"), "2 GiB"),
    choice("newer", t("age"), [["", t("any")], ["1d", t("age_1d")], ["7d", t("age_7d")], ["30d", t("age_30d")], ["1y", t("age_1y")]]),
    choice("peer", t("peer"), [["", t("any")]]),
    me.spaces.length > 0 && choice("space", t("space"), [["", t("any")], ...me.spaces.map((name) => [name, visible(name)])]),
    choice("sort", t("sort"), ["", "providers", "size", "date"].map((name) => [name, t(`sort_${name || "relevance"}`)])));
  // On a narrow screen the filters are out of the way until they are wanted.
  const set = () => Object.entries(kept).filter(([name, value]) => name !== "q" && value).length;
  const opener = h("button", { class: "opener", type: "button", "aria-expanded": String(set() > 0), onclick: () =>
    opener.setAttribute("aria-expanded", String(opener.getAttribute("aria-expanded") === "false")) }, t("filters"));
  show(main, h("h1", { class: "quiet" }, t("nav_search")),
    h("search", {}, h("div", { class: "searchbox" }, icon("search"), h("label", { class: "quiet", for: "q" }, t("search_label")), box), opener, filters),
    count, found);

  let asked = new AbortController();
  let shown = "";
  const isNarrowed = () => Object.entries(kept).some(([name, value]) => name !== "q" && name !== "sort" && value);

  async function run() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const [least, most] = [size(kept.min), size(kept.max)];
    if (!kept.q.trim() && !isNarrowed()) {
      shown = "";
      show(count);
      const there = await peers;
      const files = there.reduce((sum, peer) => sum + peer.files, 0);
      if (signal.aborted) return;
      show(found, files === 0 ? empty("folder", t("no_shares_title"), t("no_shares_text"), command("convite peer --share ."))
        : empty("search", t("start_title"), t("start_text"), there.length < PEERS && h("p", { class: "small" }, t("start_there", { files: many("files", files), peers: many("peers", there.length) }))));
      return;
    }
    if (Number.isNaN(least) || Number.isNaN(most)) { show(count, t("size_unread")); return; }
    const query = { q: kept.q, type: kept.type, min_size: least, max_size: most, newer: kept.newer, peer: kept.peer, space: kept.space, sort: kept.sort, limit: 30 };
    const waiting = shown ? undefined : setTimeout(() => { if (!signal.aborted) show(found, bones()); }, 120);
    try {
      const page = await get("/search", query, signal);
      if (!signal.aborted) draw(page, query, signal);
    } catch (problem) {
      if (signal.aborted || problem.name === "AbortError") return;
      shown = "";
      show(count);
      show(found, trouble(problem, run));
    } finally {
      clearTimeout(waiting);
    }
  }

  function draw(page, query, signal) {
    found.dataset.of = query.q;
    const state = JSON.stringify([page, query.q]);
    if (state === shown) return;
    shown = state;
    if (page.results.length === 0) {
      show(count, t("nothing"));
      show(found, empty("search", t("nothing_title"), page.indexing ? t("indexing") : t("nothing_text")));
      return;
    }
    const list = h("ul", { class: "card list", id: "results" }, page.results.map(row));
    const say = (next) => show(count, next ? t("first_results", { count: list.children.length }) : many("results", list.children.length));
    const more = h("button", { type: "button" }, t("more"));
    let cursor = page.next_cursor;
    more.addEventListener("click", async () => {
      more.disabled = true;
      const next = await get("/search", { ...query, cursor }, signal).catch(() => null);
      more.disabled = false;
      if (!next || signal.aborted) return;
      const first = list.children.length;
      list.append(...next.results.map(row));
      cursor = next.next_cursor;
      say(cursor);
      if (!cursor) more.remove();
      list.children[first]?.querySelector("a").focus();
    });
    say(cursor);
    show(found, list, cursor && h("p", { class: "row empty" }, more));
  }

  box.addEventListener("input", () => { kept.q = box.value; run(); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); found.querySelector("a")?.focus(); }
  });
  found.addEventListener("keydown", (event) => {
    const at = event.target.closest("li");
    if (!at || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    event.preventDefault();
    const next = event.key === "ArrowDown" ? at.nextElementSibling : at.previousElementSibling;
    (next?.querySelector("a") ?? (event.key === "ArrowUp" ? box : at.querySelector("a"))).focus();
  });
  const narrow = ({ target: { id, value } }) => {
    if (kept[id] === value) return;
    kept[id] = value;
    run();
  };
  filters.addEventListener("input", narrow);
  filters.addEventListener("change", narrow);
  peers.then((items) => filters.querySelector("#peer").append(...items.map((peer) =>
    h("option", { value: peer.id, selected: kept.peer === peer.id }, visible(peer.id)))));
  box.focus();
  run();
  // What is not there may come while one looks: a peer that comes back, a file just shared.
  hear("peers", () => { if (found.dataset.of === kept.q && !found.querySelector("#results")) run(); }, left);
  left.addEventListener("abort", () => asked.abort());
}
