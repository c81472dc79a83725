// One file: its names, size, hash and sources, its download and its links.
import { all, get, post, tokenFor } from "./api.js";
import { first } from "./connect.js";
import { h, icon, show } from "./dom.js";
import { bytes, visible, when } from "./format.js";
import { holders } from "./holders.js";
import { many, t } from "./i18n.js";
import { calm, hear } from "./live.js";
import { attempt, copy } from "./notice.js";

function linking(file) {
  const said = h("div", {});
  const made = h("div", {});
  const button = h("button", {}, t("make_link"));
  const pick = (id, label, options) => h("div", {}, h("label", { for: id }, label),
    h("select", { id }, options.map(([value, text]) => h("option", { value }, text))));
  const form = h("form", { class: "stack" },
    h("div", { class: "form" },
      pick("link-age", t("link_age"), [[3600, t("hour_1")], [86400, t("day_1")], [604800, t("days_7")]]),
      pick("link-uses", t("link_uses"), [[1, "1"], [5, "5"], [25, "25"]]), button), said, made);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(button, said, async () => {
      const value = (id) => Number(form.querySelector(id).value);
      const link = await post(`/files/${file.hash}/link`, { expires_in: value("#link-age"), uses: value("#link-uses") });
      const url = new URL(link.path, location.href).href;
      show(made, h("label", { for: "link" }, t("link_until", { when: when(link.expires_at) })),
        h("div", { class: "row" }, h("input", { id: "link", readonly: true, value: url }),
          h("button", { type: "button", onclick: () => copy(url) }, t("copy"))), h("p", { class: "note" }, t("link_grace")));
      made.querySelector("#link").select();
    });
  });
  return h("section", { class: "card pad stack" }, h("h2", {}, t("link_title")), h("p", { class: "soft small" }, t("link_text")), form);
}

/** The form for a remote download on a peer that accepts them from this account. */
function loading(file, peers) {
  const said = h("div", {});
  const button = h("button", {}, t("load_there"));
  const target = h("select", { id: "load-on" }, peers.map((peer) => h("option", { value: peer.id }, visible(peer.id))));
  const form = h("form", { class: "stack" }, h("div", { class: "form" }, h("div", {}, h("label", { for: "load-on" }, t("peer")), target), button), said);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(button, said, async () => {
      await post("/loadfiles", { hash: file.hash, peer: target.value });
      show(said, h("p", { role: "status" }, t("load_asked", { peer: visible(target.value) }), " ", h("a", { href: "#/transfers" }, t("nav_transfers"))));
    });
  });
  return h("section", { class: "card pad stack" }, h("h2", {}, t("load_title")), h("p", { class: "soft small" }, t("load_text")), form);
}

export const copied = (id, text) => h("div", { class: "copied" }, h("code", { id }, text),
  h("button", { class: "icon", type: "button", "aria-label": t("copy_what", { what: t(id) }), title: t("copy"), onclick: () => copy(text) }, icon("copy")));

/** Screens that the page of a file or folder can link back to. */
const LEADING = /^#\/(search|browse|folder|peers|transfers|upload)\b/;

/** The link back to the previous screen: the search with its results, a folder, or another screen. */
export function crumb(previous) {
  const from = LEADING.test(previous) ? previous : "";
  const [, screen = "search", ...parts] = from.replace(/\?.*$/s, "").split("/");
  const last = parts.at(-1);
  let name = t(screen === "admin" ? "nav_admin" : `nav_${screen}`);
  // A folder is named by its hash.
  if (screen === "browse" && last) try { name = visible(decodeURIComponent(last)); } catch { /* A malformed URL, typed by hand. */ }
  const isThere = from !== "";
  const back = (event) => {
    // Go back in the history, which restores the screen; a link opened in another tab works as a plain URL.
    if (!isThere || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.back();
  };
  return h("p", { class: "crumbs" }, h("a", { href: isThere ? from : "#/search", onclick: back }, `← ${name}`));
}

/** Minimum interval between refreshes of the sources, in milliseconds. */
const LOOK = 3000;

export async function open(main, { parts: [hash], me, from, signal }) {
  const path = `/files/${encodeURIComponent(hash)}`;
  const [file, peers] = await Promise.all([get(path, { kind: "file" }, signal), all("/peers", "peers", {}, { signal }).catch(() => [])]);
  const holding = new Set(file.providers.filter((one) => !one.partial).map((one) => one.peer));
  const loaders = peers.filter((peer) => peer.loads && !holding.has(peer.id));
  const [name = hash, ...others] = file.names.map(visible);
  const fact = (label, ...value) => [h("dt", {}, label), h("dd", {}, ...value)];
  const said = h("div", {});
  // The download URL has a token for this file, requested on click. If the file is gone, the error is shown
  // here, instead of being saved by the browser as the file.
  const button = h("button", { class: "main", type: "button", id: "download", onclick: () => attempt(button, said, async () => {
    h("a", { href: `${path}/content?${await tokenFor(path)}`, download: "" }).click();
  }) }, icon("down"), t("download"));
  const held = h("section", { class: "card pad stack" });
  function drawHolders({ providers, size }) {
    button.hidden = providers.length === 0;
    show(held, h("h2", {}, many("providers", providers.length)), providers.length > 0 ? holders({ providers, size }) : h("p", { class: "soft small" }, t("no_providers")),
      h("ul", { class: "small" }, providers.slice(0, 100).map((one) => h("li", { class: "row spread" },
        h("a", { href: `#/browse/${encodeURIComponent(one.peer)}` }, visible(one.peer)), one.partial && h("span", { class: "chip" }, t("partial"))))));
  }
  drawHolders(file);
  show(main, crumb(from),
    h("div", { class: "head" }, h("h1", { class: name.length > 60 && "long" }, name), button), said,
    h("div", { class: "two" },
      h("div", { class: "stack" },
        h("section", { class: "card pad" }, h("h2", { class: "quiet" }, t("facts")), h("dl", { class: "facts" },
          fact(t("size"), `${bytes(file.size)} `, file.size >= 1024 && h("span", { class: "soft small" }, many("bytes", file.size))),
          fact(t("hash"), copied("hash", file.hash)),
          others.length > 0 && fact(t("also"), h("ul", {}, others.map((other) => h("li", {}, other)))),
          fact(t("command"), copied("command", `convite get ${file.hash}`), first(me)))),
        linking(file), loaders.length > 0 && loading(file, loaders)),
      held));
  let shown = JSON.stringify(file.providers.map((one) => [one.peer, one.partial]));
  hear("peers", calm(async () => {
    const now = await get(path, {}, signal).catch((problem) => (problem.status === 404 ? { providers: [], size: file.size } : null));
    const state = now && JSON.stringify(now.providers.map((one) => [one.peer, one.partial]));
    // Redraw only on a change, because redrawing moves the focus.
    if (!now || state === shown) return;
    shown = state;
    drawHolders(now);
  }, LOOK, signal), signal);
}
