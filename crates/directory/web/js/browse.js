// What a peer shares, as folders. Pages of its index are fetched while they are wanted.
import { all, get } from "./api.js";
import { h, icon, show } from "./dom.js";
import { ago, bytes, ending, number, visible } from "./format.js";
import { language, many, t } from "./i18n.js";
import { narrowed } from "./long.js";
import { bones, command, empty, trouble } from "./notice.js";

const PAGE = 1000;
/** So many files are read by themselves; more only when asked for. */
const MOST = 20000;
/** For so long, in milliseconds, what was read of a peer is shown again without asking. */
const FRESH = 30000;
let read = { peer: "", files: [], cursor: undefined, at: 0 };

async function peersFirst(main) {
  const peers = (await all("/peers", "peers")).filter((peer) => peer.files > 0);
  const row = (peer) => h("li", {}, h("a", { class: "item", href: `#/browse/${encodeURIComponent(peer.id)}` },
    h("span", { class: "kind" }, icon("folder")),
    h("span", { class: "what" }, h("span", { class: "name" }, visible(peer.id)), h("span", { class: "meta" }, visible(peer.user))),
    h("span", { class: "num" }, many("files", peer.files))));
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_browse"))),
    peers.length === 0 ? empty("folder", t("no_shares_title"), t("no_shares_text"), command("convite peer --share .")) : narrowed(peers, row, (peer) => `${peer.id} ${peer.user}`));
}

/** Folders and then files directly in `folder`, of all `files`. */
function level(files, folder) {
  const inside = folder ? `${folder}/` : "";
  const folders = new Map();
  const here = [];
  for (const file of files) {
    if (!file.path.startsWith(inside)) continue;
    const rest = file.path.slice(inside.length);
    const cut = rest.indexOf("/");
    if (cut < 0) { here.push({ ...file, name: rest }); continue; }
    const name = rest.slice(0, cut);
    const sum = folders.get(name) ?? { count: 0, size: 0 };
    folders.set(name, { count: sum.count + 1, size: sum.size + file.size });
  }
  const order = new Intl.Collator(language(), { numeric: true }).compare;
  const sorted = (items) => items.sort((a, b) => order(a.name, b.name));
  return [...sorted([...folders].map(([name, sum]) => ({ name, ...sum }))), ...sorted(here)];
}

export async function open(main, { parts: [peer, ...way] }) {
  if (!peer) return peersFirst(main);
  const address = (path) => `#/browse/${[peer, ...path].map(encodeURIComponent).join("/")}`;
  const folder = way.join("/");
  const asked = new AbortController();
  const tree = h("div", {});
  const rest = h("div", {});
  show(main, h("h1", { class: "quiet" }, t("shared_by", { peer: visible(peer) })),
    h("nav", { "aria-label": t("folders") }, h("ol", { class: "crumbs" },
      h("li", {}, h("a", { href: "#/browse" }, t("nav_browse"))),
      [peer, ...way].map((name, at) => h("li", {}, at === way.length ? h("strong", { "aria-current": "page" }, visible(name)) : h("a", { href: address(way.slice(0, at)) }, visible(name)))))),
    tree, rest);

  const row = (one) => h("li", {}, h("a", { class: "item", href: one.hash ? `#/file/${one.hash}` : address([...way, one.name]) },
    h("span", { class: "kind", "aria-hidden": "true" }, (one.hash && ending(one.name)) || icon(one.hash ? "file" : "folder")),
    h("span", { class: "what" }, h("span", { class: "name" }, visible(one.name)),
      h("span", { class: "meta" }, one.count && many("files", one.count), one.modified > 0 && ago(one.modified), one.space && h("span", { class: "chip" }, visible(one.space)))),
    h("span", { class: "num" }, bytes(one.size))));
  function draw() {
    const here = level(read.files, folder);
    show(tree, here.length === 0 ? empty("folder", t("folder_empty_title"), t("folder_empty_text")) : narrowed(here, row, (one) => one.name));
    show(rest, read.cursor && h("p", { class: "row centred" }, h("button", { type: "button", onclick: () => fetchMore(read.files.length + MOST) }, t("more_files", { count: number(read.files.length) }))));
  }

  async function fetchMore(most) {
    try {
      do {
        const page = await get("/index", { peer, limit: PAGE, cursor: read.cursor }, asked.signal);
        read.files.push(...page.files);
        read.cursor = page.next_cursor;
        if (read.cursor) show(rest, h("p", { class: "soft", role: "status" }, t("reading", { count: number(read.files.length) })));
      } while (read.cursor && read.files.length < most);
      draw();
    } catch (problem) {
      if (problem.name !== "AbortError") show(rest, trouble(problem, () => fetchMore(most)));
    }
  }
  if (read.peer === peer && Date.now() - read.at < FRESH) draw();
  else {
    read = { peer, files: [], cursor: undefined, at: Date.now() };
    show(tree, bones());
    await fetchMore(MOST);
  }
  return () => { asked.abort(); if (read.cursor) read.at = 0; };
}
