// One file: its names, size, hash, who holds it, download and links.
import { all, get, post } from "./api.js";
import { h, icon, show } from "./dom.js";
import { bytes, visible, when } from "./format.js";
import { holders } from "./holders.js";
import { many, t } from "./i18n.js";
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
          h("button", { type: "button", onclick: () => copy(url) }, t("copy"))));
      made.querySelector("#link").select();
    });
  });
  return h("section", { class: "card pad stack" }, h("h2", {}, t("link_title")), h("p", { class: "soft small" }, t("link_text")), form);
}

/** Has another peer fetch the file: one of those that do so for this account. */
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

const copied = (id, text) => h("div", { class: "copied" }, h("code", { id }, text),
  h("button", { class: "icon", type: "button", "aria-label": t("copy_what", { what: t(id) }), title: t("copy"), onclick: () => copy(text) }, icon("copy")));

export async function open(main, { parts: [hash] }) {
  const [file, peers] = await Promise.all([get(`/files/${encodeURIComponent(hash)}`), all("/peers", "peers").catch(() => [])]);
  const holding = new Set(file.providers.filter((one) => !one.partial).map((one) => one.peer));
  const loaders = peers.filter((peer) => peer.loads && !holding.has(peer.id));
  const [name = hash, ...others] = file.names.map(visible);
  const fact = (label, ...value) => [h("dt", {}, label), h("dd", {}, ...value)];
  show(main, h("p", { class: "crumbs" }, h("a", { href: "#/search" }, `← ${t("back_to_search")}`)),
    h("div", { class: "head" }, h("h1", { class: name.length > 60 && "long" }, name),
      file.providers.length > 0 && h("a", { class: "button main", id: "download", href: `/files/${file.hash}/content`, download: "" }, icon("down"), t("download"))),
    h("div", { class: "two" },
      h("div", { class: "stack" },
        h("section", { class: "card pad" }, h("h2", { class: "quiet" }, t("facts")), h("dl", { class: "facts" },
          fact(t("size"), `${bytes(file.size)} `, file.size >= 1024 && h("span", { class: "soft small" }, many("bytes", file.size))),
          fact(t("hash"), copied("hash", file.hash)),
          others.length > 0 && fact(t("also"), h("ul", {}, others.map((other) => h("li", {}, other)))),
          fact(t("command"), copied("command", `convite get ${file.hash}`)))),
        linking(file), loaders.length > 0 && loading(file, loaders)),
      h("section", { class: "card pad stack" }, h("h2", {}, many("providers", file.providers.length)), holders(file),
        h("ul", { class: "small" }, file.providers.slice(0, 100).map((one) => h("li", { class: "row spread" },
          h("a", { href: `#/browse/${encodeURIComponent(one.peer)}` }, visible(one.peer)), one.partial && h("span", { class: "chip" }, t("partial"))))))));
}
