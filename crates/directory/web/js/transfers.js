// What moves right now, as the directory tells it.
import { h, icon, show } from "./dom.js";
import { bytes, rate, visible } from "./format.js";
import { t } from "./i18n.js";
import { hear } from "./live.js";
import { empty } from "./notice.js";

const row = (transfer) => {
  const done = transfer.size > 0 ? Math.min(100, Math.floor((transfer.bytes / transfer.size) * 100)) : 0;
  const name = visible(transfer.name ?? transfer.hash);
  return h("li", {}, h("div", { class: "item" },
    h("span", { class: "kind" }, icon(transfer.direction === "sending" ? "moves" : "down")),
    h("span", { class: "what" },
      h("a", { class: "name", href: `#/file/${transfer.hash}` }, name),
      h("span", { class: "meta" }, h("span", {}, visible(transfer.peer ?? "")), transfer.direction && h("span", {}, t(`direction_${transfer.direction}`)),
        transfer.state && h("span", {}, t(`state_${transfer.state}`)), transfer.message && h("span", {}, visible(transfer.message))),
      h("progress", { max: 100, value: done, "aria-label": t("progress_of", { name }) })),
    h("span", { class: "num" }, `${bytes(transfer.bytes)} / ${bytes(transfer.size)} · ${rate(transfer.rate)}`)));
};

/** An event's list, whether it comes bare or under its name. */
const listOf = (told, name) => (Array.isArray(told) ? told : told?.[name]) ?? [];

export async function open(main) {
  const now = { transfers: [], loads: [] };
  const list = h("div", {});
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_transfers"))), list);
  const draw = () => {
    const rows = [...now.transfers, ...now.loads];
    show(list, rows.length === 0 ? empty("moves", t("no_transfers_title"), t("no_transfers_text"))
      : h("ul", { class: "card list" }, rows.map(row)));
  };
  draw();
  const stops = ["transfers", "loads"].map((name) => hear(name, (told) => { now[name] = listOf(told, name); draw(); }));
  return () => stops.forEach((stop) => stop());
}
