// Search while typing. Each query aborts the previous one, so that an older response never replaces a newer one.
// The query is in the URL; the results are kept for the Back button.
import { all, get } from "./api.js";
import { recommended } from "./connect.js";
import { h, icon, show } from "./dom.js";
import { visible } from "./format.js";
import { many, t } from "./i18n.js";
import { calm, hear } from "./live.js";
import { bones, empty, trouble } from "./notice.js";
import { asked, CHOICES, filters as count, fragment, isAsked, parsed } from "./query.js";
import { resultList } from "./results.js";
import { rename } from "./trail.js";

/** Maximum number of peers in the filter; with more, the start screen shows no totals. */
const PEERS = 500;
/** Minimum interval between refreshes of the peers, in milliseconds. */
const LOOK = 3000;

function choice(id, label, options, chosen) {
  return h("div", {}, h("label", { for: id }, label),
    h("select", { id }, options.map(([value, text]) => h("option", { value, selected: chosen === value }, text))));
}

const entry = (id, label, hint, value) =>
  h("div", {}, h("label", { for: id }, label), h("input", { id, value, placeholder: hint, autocomplete: "off" }));

export async function open(main, { me, query: given, memory, isBack, signal: left }) {
  const wanted = parsed(given);
  let peers = all("/peers", "peers", {}, { most: PEERS, signal: left }).catch(() => []);
  const box = h("input", { id: "q", type: "search", value: wanted.q, placeholder: t("search_hint"), autocomplete: "off", spellcheck: "false", maxlength: 900 });
  const total = h("p", { class: "count", role: "status" });
  const found = h("div", {});
  const any = ["", t("any")];
  const spaces = me.spaces.map((name) => [name, visible(name)]);
  // Show a filter that no longer applies, so that it can be cleared.
  if (wanted.space && !me.spaces.includes(wanted.space)) spaces.push([wanted.space, t("gone_of", { name: visible(wanted.space) })]);
  const filters = h("div", { class: "filters", role: "group", "aria-label": t("filters") },
    choice("type", t("kind"), [any, ...CHOICES.type.map((kind) => [kind, t(`kind_${kind}`)])], wanted.type),
    entry("min", t("min_size"), "10 MiB", wanted.min), entry("max", t("max_size"), "2 GiB", wanted.max),
    choice("newer", t("age"), [any, ...CHOICES.newer.map((age) => [age, t(`age_${age}`)])], wanted.newer),
    choice("peer", t("peer"), [any], ""),
    spaces.length > 0 && choice("space", t("space"), [any, ...spaces], wanted.space),
    choice("sort", t("sort"), ["", ...CHOICES.sort].map((name) => [name, t(`sort_${name || "relevance"}`)]), wanted.sort));
  // On a narrow screen, the filters are collapsed.
  const opener = h("button", { class: "opener", type: "button", "aria-expanded": String(count(wanted) > 0), onclick: () =>
    opener.setAttribute("aria-expanded", String(opener.getAttribute("aria-expanded") === "false")) }, t("filters"));
  show(main, h("h1", { class: "quiet" }, t("nav_search")),
    h("search", {}, h("div", { class: "searchbox" }, icon("search"), h("label", { class: "quiet", for: "q" }, t("search_label")), box), opener, filters),
    total, found);

  let asking = new AbortController();
  left.addEventListener("abort", () => asking.abort());
  let shown = "";

  function clearFilters() {
    for (const field of filters.querySelectorAll("input, select")) {
      if (field.id === "sort") continue;
      field.value = "";
      wanted[field.id] = "";
    }
    box.focus();
    run();
  }

  async function start(signal) {
    shown = "";
    show(total);
    const there = await peers;
    if (signal.aborted) return;
    const files = there.reduce((sum, peer) => sum + peer.files, 0);
    show(found, files === 0 ? empty("folder", t("no_shares_title"), t("no_shares_text"), recommended("convite peer --share .", me))
      : empty("search", t("start_title"), t("start_text"), there.length < PEERS && h("p", { class: "small" }, t("start_there", { files: many("files", files), peers: many("peers", there.length) }))));
  }

  async function run() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    rename(fragment(wanted));
    const { query, unread } = asked(wanted);
    for (const id of ["min", "max"]) {
      const field = filters.querySelector(`#${id}`);
      if (unread.includes(id)) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
    }
    if (!isAsked(wanted)) { await start(signal); return; }
    if (unread.length > 0) {
      shown = "";
      show(total, t("size_unread"));
      return;
    }
    const waiting = shown ? undefined : setTimeout(() => { if (!signal.aborted) show(found, bones()); }, 120);
    try {
      const page = await get("/search", query, signal);
      const state = JSON.stringify([page, query]);
      found.dataset.of = query.q;
      if (state === shown) return;
      shown = state;
      memory.found = { of: fragment(wanted), results: page.results, cursor: page.next_cursor, indexing: page.indexing };
      draw(memory.found, query, signal);
    } catch (problem) {
      if (signal.aborted || problem.name === "AbortError") return;
      shown = "";
      show(total);
      show(found, trouble(problem, run));
    } finally {
      clearTimeout(waiting);
    }
  }

  function draw(what, query, signal) {
    if (what.results.length === 0) {
      show(total, t("nothing"));
      show(found, empty("search", t("nothing_title"), what.indexing ? t("indexing") : t("nothing_text"),
        count(wanted) > 0 && h("p", { class: "after" }, h("button", { type: "button", id: "clear", onclick: clearFilters }, t("clear_filters")))));
      return;
    }
    // Keep the keyboard focus in the list.
    const focused = found.contains(document.activeElement) && (document.activeElement.getAttribute("href") ?? "");
    const say = (there, isMore) => show(total, isMore ? t("first_results", { count: there }) : many("results", there));
    show(found, resultList(what, query, (cursor) => get("/search", { ...query, cursor }, signal), say));
    if (focused !== false) (found.querySelector(`a[href="${CSS.escape(focused)}"]`) ?? found.querySelector("a"))?.focus();
  }

  /** Updates the peer filter: online peers and the selected one. In place, because the list may be open. */
  async function choosePeers() {
    const select = filters.querySelector("#peer");
    const there = await peers;
    if (left.aborted) return;
    const names = there.map((peer) => peer.id);
    const words = new Map([["", t("any")], ...names.map((name) => [name, visible(name)])]);
    if (wanted.peer && !names.includes(wanted.peer)) words.set(wanted.peer, t("offline_of", { name: visible(wanted.peer) }));
    const old = new Map([...select.options].map((option) => [option.value, option]));
    for (const [name, option] of old) if (!words.has(name)) option.remove();
    [...words].forEach(([name, text], at) => {
      const option = old.get(name) ?? h("option", { value: name });
      if (option.textContent !== text) option.textContent = text;
      if (select.options[at] !== option) select.insertBefore(option, select.options[at] ?? null);
    });
    if (select.value !== wanted.peer) select.value = wanted.peer;
  }

  box.addEventListener("input", () => { wanted.q = box.value; run(); });
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
    if (wanted[id] === value) return;
    wanted[id] = value;
    run();
  };
  filters.addEventListener("input", narrow);
  filters.addEventListener("change", narrow);
  choosePeers();
  // Do not open an on-screen keyboard, and do not move the focus after Back.
  if (!isBack && !matchMedia("(pointer: coarse)").matches) box.focus();
  if (memory.found?.of === fragment(wanted)) {
    found.dataset.of = wanted.q;
    shown = "kept";
    draw(memory.found, asked(wanted).query, asking.signal);
  } else run();
  // Refresh when peers come online or share files.
  const look = calm(() => {
    peers = all("/peers", "peers", {}, { most: PEERS, signal: left }).catch(() => []);
    choosePeers();
  }, LOOK, left);
  hear("peers", () => {
    look();
    if (found.dataset.of === wanted.q && !found.querySelector("#results")) run();
  }, left);
}
