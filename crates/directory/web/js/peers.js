// Who is online, what they share, and how fast they move.
import { all, remove } from "./api.js";
import { h, icon, show } from "./dom.js";
import { ago, rate, visible } from "./format.js";
import { many, t } from "./i18n.js";
import { hear } from "./live.js";
import { narrowed } from "./long.js";
import { attempt, bones, command, empty, sure } from "./notice.js";

export async function open(main, { me, signal }) {
  const list = h("div", {}, bones());
  const said = h("div", {});
  const total = h("span", { class: "soft" });
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_peers")), total), said, list);

  const row = (peer) => h("li", {}, h("div", { class: "item" },
    h("span", { class: "kind" }, icon("peer")),
    h("span", { class: "what" },
      h("a", { class: "name", href: `#/browse/${encodeURIComponent(peer.id)}` }, visible(peer.id)),
      h("span", { class: "meta" }, h("span", {}, visible(peer.user)), h("span", {}, many("files", peer.files)),
        h("span", {}, t("online_since", { ago: ago(peer.since) })), peer.uploads && h("span", { class: "chip" }, t("takes_uploads")))),
    h("span", { class: "num" }, [peer.sent_rate > 0 && `↑ ${rate(peer.sent_rate)}`, peer.received_rate > 0 && `↓ ${rate(peer.received_rate)}`].filter(Boolean).join("  ")),
    (me.role === "admin" || me.user === peer.user) && sure(t("remove"), visible(peer.id), (button) => attempt(button, said, async () => {
      await remove(`/peers/${encodeURIComponent(peer.id)}`);
      await fresh(true);
    }))));

  let shown = "";
  async function fresh(isSure = false) {
    const peers = await all("/peers", "peers", {}, { signal });
    const state = JSON.stringify(peers);
    // A button that waits for its second press is not drawn away.
    if (state === shown || (!isSure && list.contains(document.activeElement))) return;
    shown = state;
    show(total, many("online", peers.length));
    show(list, peers.length === 0 ? empty("peer", t("no_peers_title"), t("no_peers_text"), command("convite peer --share ."))
      : narrowed(peers, row, (peer) => `${peer.id} ${peer.user}`));
  }
  await fresh();
  hear("peers", () => fresh().catch(() => {}), signal);
}
