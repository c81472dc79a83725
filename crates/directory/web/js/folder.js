// One folder: its files and folders, its size, hash and sources.
import { get } from "./api.js";
import { h, icon, show } from "./dom.js";
import { copied, crumb } from "./file.js";
import { bytes, ending, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { attempt } from "./notice.js";

/** Number of entries loaded at once. */
const PAGE = 1000;

function row(entry) {
  const isFolder = entry.kind === "folder";
  return h("li", {}, h("a", { class: "item", href: `#/${isFolder ? "folder" : "file"}/${entry.hash}` },
    h("span", { class: "kind", "aria-hidden": "true" }, isFolder ? icon("folder") : ending(entry.name) || icon("file")),
    h("span", { class: "what" }, h("span", { class: "name" }, visible(entry.name)),
      h("span", { class: "meta" }, isFolder && many("files", entry.files))),
    h("span", { class: "num" }, bytes(entry.size))));
}

/** The entries of the folder, the first page of which is `page`. */
function entries(page, fetchMore) {
  if (page.entries.length === 0) return h("p", { class: "soft" }, t("folder_holds_nothing"));
  const list = h("ul", { class: "card list", id: "entries" }, page.entries.map(row));
  const said = h("div", {});
  let cursor = page.next_cursor;
  const more = h("button", { type: "button", hidden: !cursor, onclick: () => attempt(more, said, async () => {
    const next = await fetchMore(cursor);
    list.append(...next.entries.map(row));
    cursor = next.next_cursor;
    more.hidden = !cursor;
  }) }, t("more"));
  return h("div", { class: "stack" }, list, more, said);
}

export async function open(main, { parts: [hash], from, signal }) {
  const path = `/folders/${encodeURIComponent(hash)}`;
  const fetchMore = (cursor) => get(path, { limit: PAGE, cursor }, signal);
  const [folder, page] = await Promise.all([get(`/files/${encodeURIComponent(hash)}`, { kind: "folder" }, signal), fetchMore()]);
  const [name = hash, ...others] = folder.names.map(visible);
  const fact = (label, ...value) => [h("dt", {}, label), h("dd", {}, ...value)];
  const peers = folder.providers.slice(0, 100).map((one) => h("li", {}, h("a", { href: `#/browse/${encodeURIComponent(one.peer)}` }, visible(one.peer))));
  show(main, crumb(from), h("div", { class: "head" }, h("h1", { class: name.length > 60 && "long" }, name)),
    h("div", { class: "two" }, entries(page, fetchMore),
      h("section", { class: "card pad stack" }, h("h2", {}, many("providers", folder.providers.length)), h("ul", { class: "small" }, peers),
        h("dl", { class: "facts" }, fact(t("size"), bytes(folder.size), " · ", many("files", folder.files)), fact(t("hash"), copied("hash", folder.hash)),
          others.length > 0 && fact(t("also"), h("ul", {}, others.map((other) => h("li", {}, other))))))));
}
