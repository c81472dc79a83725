// What a peer shares, as folders. Pages of its index are fetched while they are wanted.
import { all, get } from "./api.js";
import { h, icon, show } from "./dom.js";
import { ago, bytes, ending, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { bones, empty, trouble } from "./notice.js";

const PAGE = 1000;

async function peersFirst(main) {
  const peers = (await all("/peers", "peers")).filter((peer) => peer.files > 0);
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_browse"))),
    peers.length === 0 ? empty("folder", t("no_shares_title"), t("no_shares_text"))
      : h("ul", { class: "card list" }, peers.map((peer) => h("li", {}, h("a", { class: "item", href: `#/browse/${encodeURIComponent(peer.id)}` },
        h("span", { class: "kind" }, icon("folder")),
        h("span", { class: "what" }, h("span", { class: "name" }, visible(peer.id)), h("span", { class: "meta" }, visible(peer.user))),
        h("span", { class: "num" }, many("files", peer.files)))))));
}

/** Folders and files directly in `folder`, of all `files`. */
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
  return { folders: [...folders].sort(([a], [b]) => a.localeCompare(b)), here };
}

export async function open(main, { parts: [peer, ...way] }) {
  if (!peer) return peersFirst(main);
  const address = (path) => `#/browse/${[peer, ...path].map(encodeURIComponent).join("/")}`;
  const folder = way.join("/");
  const asked = new AbortController();
  const files = [];
  const tree = h("div", {}, bones());
  const rest = h("div", { class: "row empty" });
  show(main, h("h1", { class: "quiet" }, t("shared_by", { peer: visible(peer) })),
    h("nav", { "aria-label": t("folders") }, h("ol", { class: "crumbs" },
      h("li", {}, h("a", { href: "#/browse" }, t("nav_browse"))),
      [peer, ...way].map((name, at) => h("li", {}, at === way.length ? h("strong", { "aria-current": "page" }, visible(name)) : h("a", { href: address(way.slice(0, at)) }, visible(name)))))),
    tree, rest);

  function draw() {
    const { folders, here } = level(files, folder);
    if (folders.length + here.length === 0) { show(tree, empty("folder", t("folder_empty_title"), t("folder_empty_text"))); return; }
    show(tree, h("ul", { class: "card list" },
      folders.map(([name, sum]) => h("li", {}, h("a", { class: "item", href: address([...way, name]) },
        h("span", { class: "kind" }, icon("folder")),
        h("span", { class: "what" }, h("span", { class: "name" }, visible(name)), h("span", { class: "meta" }, many("files", sum.count))),
        h("span", { class: "num" }, bytes(sum.size))))),
      here.map((file) => h("li", {}, h("a", { class: "item", href: `#/file/${file.hash}` },
        h("span", { class: "kind", "aria-hidden": "true" }, ending(file.name) || icon("file")),
        h("span", { class: "what" }, h("span", { class: "name" }, visible(file.name)),
          h("span", { class: "meta" }, file.modified > 0 && ago(file.modified), file.space && h("span", { class: "chip" }, visible(file.space)))),
        h("span", { class: "num" }, bytes(file.size)))))));
  }

  async function fetchPage(cursor) {
    try {
      const page = await get("/index", { peer, limit: PAGE, cursor }, asked.signal);
      files.push(...page.files);
      draw();
      show(rest, page.next_cursor && h("button", { type: "button", onclick: () => fetchPage(page.next_cursor) }, t("more_files", { count: files.length })));
    } catch (problem) {
      if (problem.name !== "AbortError") show(rest, trouble(problem));
    }
  }
  await fetchPage();
  return () => asked.abort();
}
