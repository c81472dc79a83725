// Search results, loaded page by page.
import { h, icon, show } from "./dom.js";
import { bytes, ending, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { trouble } from "./notice.js";

/** Number of peers named in a result. */
const NAMED = 2;

/** A name with its matches highlighted; `matches` counts characters, not UTF-16 units. */
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

const row = (query) => (hit) => {
  const more = hit.names.length - 1;
  const held = hit.peers.slice(0, NAMED).map((peer) => visible(peer.id)).join(", ");
  // Distinguishes results with equal names.
  const where = [held, visible(hit.folder ?? "")].filter(Boolean).join(" · ");
  const isFolder = hit.kind === "folder";
  return h("li", {}, h("a", { class: "item", href: `#/${isFolder ? "folder" : "file"}/${hit.hash}` },
    h("span", { class: "kind", "aria-hidden": "true" }, isFolder ? icon("folder") : ending(hit.name) || icon("file")),
    h("span", { class: "what" }, h("span", { class: "name" }, marked(hit)),
      h("span", { class: "meta" }, isFolder && h("span", {}, many("files", hit.files)), h("span", {}, many("providers", hit.providers)), where && h("span", { class: "where" }, where),
        more > 0 && h("span", {}, many("more_names", more)), query.q.trim() && hit.matches?.length === 0 && h("span", {}, t("match_elsewhere")))),
    h("span", { class: "num" }, bytes(hit.size))));
};

/**
 * The list of `found.results`, extended with the results of `fetchMore(cursor)`. Calls `say` with the number of
 * results and whether there are more. Extends `found` too, so that the list can be restored.
 */
export function resultList(found, query, fetchMore, say) {
  const make = row(query);
  const list = h("ul", { class: "card list", id: "results" }, found.results.map(make));
  const more = h("button", { type: "button" }, t("more"));
  const said = h("div", {});
  const rest = h("div", { class: "row empty" }, more, said);
  const tell = () => { say(list.children.length, found.cursor); rest.hidden = !found.cursor; };
  more.addEventListener("click", async () => {
    more.disabled = true;
    show(said);
    try {
      const next = await fetchMore(found.cursor);
      const first = list.children.length;
      found.results.push(...next.results);
      found.cursor = next.next_cursor;
      list.append(...next.results.map(make));
      tell();
      list.children[first]?.querySelector("a").focus();
    } catch (problem) {
      if (problem.name !== "AbortError") show(said, trouble(problem));
    } finally {
      more.disabled = false;
    }
  });
  tell();
  return [list, rest];
}
