// The log of what was done and refused, newest first.
import { get } from "../api.js";
import { h, show } from "../dom.js";
import { visible, when } from "../format.js";
import { t } from "../i18n.js";

const row = (entry) => h("li", {}, h("div", { class: "item" },
  h("span", { class: "what" }, h("span", { class: "name" }, t(`act_${entry.action}`), " ", entry.outcome !== "done" && h("span", { class: "chip off" }, t(`outcome_${entry.outcome}`))),
  h("span", { class: "meta" }, entry.target && h("span", { class: "text" }, visible(entry.target)), entry.actor && h("span", {}, t("made_by", { user: visible(entry.actor) })), entry.address && h("span", {}, visible(entry.address)), entry.times > 1 && h("span", {}, `×${entry.times}`))),
  h("span", { class: "num" }, when(entry.last))));

export async function open(body, { signal }) {
  const list = h("ul", { class: "card list" });
  const rest = h("div", { class: "row" });
  show(body, list, rest);
  async function page(cursor) {
    const found = await get("/audit", { limit: 100, cursor });
    list.append(...found.entries.map(row));
    show(rest, found.next_cursor && h("button", { type: "button", onclick: () => page(found.next_cursor) }, t("more")));
  }
  await page();
}
