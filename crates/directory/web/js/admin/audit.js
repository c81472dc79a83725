// The audit log, newest first.
import { get } from "../api.js";
import { h, show } from "../dom.js";
import { visible, when } from "../format.js";
import { t } from "../i18n.js";
import { attempt } from "../notice.js";

const row = (entry) => h("li", {}, h("div", { class: "item" },
  h("span", { class: "what" }, h("span", { class: "name" }, t(`act_${entry.action}`), " ", entry.outcome !== "done" && h("span", { class: "chip off" }, t(`outcome_${entry.outcome}`))),
  h("span", { class: "meta" }, entry.target && h("span", { class: "text" }, visible(entry.target)), entry.actor && h("span", {}, t("made_by", { user: visible(entry.actor) })), entry.address && h("span", {}, visible(entry.address)), entry.times > 1 && h("span", {}, `×${entry.times}`))),
  h("span", { class: "num" }, when(entry.last))));

export async function open(body, { signal }) {
  const list = h("ul", { class: "card list" });
  const said = h("div", {});
  const more = h("button", { type: "button", hidden: true }, t("more"));
  let cursor;
  async function page() {
    const found = await get("/audit", { limit: 100, cursor }, signal);
    list.append(...found.entries.map(row));
    cursor = found.next_cursor;
    more.hidden = !cursor;
  }
  more.addEventListener("click", () => attempt(more, said, page));
  show(body, list, said, h("div", { class: "row" }, more));
  await page();
}
