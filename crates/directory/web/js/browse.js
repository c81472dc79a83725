// A peer's shares as folders. Pages of its index are loaded as needed.
import { all, get } from "./api.js";
import { recommended } from "./connect.js";
import { h, icon, show } from "./dom.js";
import { ago, bytes, ending, number, visible } from "./format.js";
import { language, many, t } from "./i18n.js";
import { narrowed } from "./long.js";
import { bones, empty, trouble } from "./notice.js";

const PAGE = 1000;
/** Number of files loaded automatically; more are loaded on request. */
const MOST = 20000;
/** How long a complete list of a peer's files is reused, in milliseconds. */
const FRESH = 30000;
/** How long an incomplete list is continued, in milliseconds. */
const HALF = 300000;
/** The last list: `at` is the time when loading ended, 0 while it is incomplete. */
let kept = { peer: "", begun: 0, at: 0 };

/** Returns the list of a peer's files to show or to continue, or a new list. */
function listOf(peer) {
  const now = Date.now();
  const isGood = kept.at > 0 ? now - kept.at < FRESH : now - kept.begun < HALF;
  if (kept.peer !== peer || !isGood) kept = { peer, files: [], cursor: undefined, begun: now, at: 0 };
  return kept;
}

async function peersFirst(main, me, signal) {
  const peers = (await all("/peers", "peers", {}, { signal })).filter((peer) => peer.files > 0);
  const row = (peer) => h("li", {}, h("a", { class: "item", href: `#/browse/${encodeURIComponent(peer.id)}` },
    h("span", { class: "kind" }, icon("folder")),
    h("span", { class: "what" }, h("span", { class: "name" }, visible(peer.id)), h("span", { class: "meta" }, visible(peer.user))),
    h("span", { class: "num" }, many("files", peer.files))));
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_browse"))),
    peers.length === 0 ? empty("folder", t("no_shares_title"), t("no_shares_text"), recommended("convite peer --share .", me)) : narrowed(peers, row, (peer) => `${peer.id} ${peer.user}`));
}

/** The folders and then the files directly in `folder`, from all `files`. */
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

export async function open(main, { parts: [peer, ...way], me, signal }) {
  if (!peer) { await peersFirst(main, me, signal); return; }
  const address = (path) => `#/browse/${[peer, ...path].map(encodeURIComponent).join("/")}`;
  const folder = way.join("/");
  const list = listOf(peer);
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
    const here = level(list.files, folder);
    show(tree, here.length === 0 ? empty("folder", t("folder_empty_title"), t("folder_empty_text")) : narrowed(here, row, (one) => one.name));
    show(rest, list.cursor && h("p", { class: "row centred" }, h("button", { type: "button", onclick: () => fetchMore(list.files.length + MOST) }, t("more_files", { count: number(list.files.length) }))));
  }

  async function fetchMore(most) {
    const said = h("p", { class: "soft", role: "status" });
    const tell = () => show(said, list.files.length > 0 && t("reading", { count: number(list.files.length) }));
    show(rest, said);
    list.at = 0;
    try {
      do {
        tell();
        const page = await get("/index", { peer, limit: PAGE, cursor: list.cursor }, signal);
        // The folders of the page follow from the paths of the files.
        list.files.push(...page.files.filter((one) => one.kind !== "folder"));
        list.cursor = page.next_cursor;
      } while (list.cursor && list.files.length < most);
      list.at = Date.now();
      draw();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (tree.querySelector(".bone")) show(tree);
      show(rest, trouble(problem, () => fetchMore(most)));
    }
  }
  if (list.at > 0) { draw(); return; }
  show(tree, bones());
  await fetchMore(MOST);
}
