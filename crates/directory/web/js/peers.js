// Online peers, the number of their files, and their transfer rates.
import { all, remove } from "./api.js";
import { recommended } from "./connect.js";
import { h, icon, show } from "./dom.js";
import { lasted, rate, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { hear } from "./live.js";
import { following } from "./long.js";
import { attempt, bones, empty, sure } from "./notice.js";

export async function open(main, { me, signal }) {
  const said = h("div", {});
  const total = h("span", { class: "soft" });
  const body = h("div", {}, bones());
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_peers")), total), said, body);

  function makeRow(peer) {
    const meta = h("span", { class: "meta" });
    const sum = h("span", { class: "num" });
    const mayRemove = me.role === "admin" || me.user === peer.user;
    const line = h("li", {}, h("div", { class: "item" },
      h("span", { class: "kind" }, icon("peer")),
      h("span", { class: "what" }, h("a", { class: "name", href: `#/browse/${encodeURIComponent(peer.id)}` }, visible(peer.id)), meta), sum,
      mayRemove && sure(t("remove"), visible(peer.id), (button) => attempt(button, said, async () => {
        await remove(`/peers/${encodeURIComponent(peer.id)}`);
        await fresh();
      }))));
    const update = (now) => {
      show(meta, h("span", {}, visible(now.user)), h("span", {}, many("files", now.files)),
        h("span", {}, t("online_since", { time: lasted(now.since) })), now.uploads && h("span", { class: "chip" }, t("takes_uploads")));
      show(sum, [now.sent_rate > 0 && `↑ ${rate(now.sent_rate)}`, now.received_rate > 0 && `↓ ${rate(now.received_rate)}`].filter(Boolean).join("  "));
    };
    return { line, update };
  }

  const list = following((peer) => peer.id, makeRow, (peer) => `${peer.id} ${peer.user}`);
  const none = empty("peer", t("no_peers_title"), t("no_peers_text"), recommended("convite peer --share .", me));
  async function fresh() {
    const peers = await all("/peers", "peers", {}, { signal });
    show(total, many("online", peers.length));
    list.follow(peers);
    const now = peers.length === 0 ? none : list.element;
    if (body.firstChild !== now) show(body, now);
  }
  await fresh();
  hear("peers", () => fresh().catch(() => {}), signal);
}
