// Invites: creates them with a QR code, and lists the active ones. The invite is in the fragment of a URL, which browsers do not send.
import { all, post, remove } from "../api.js";
import { h, show } from "../dom.js";
import { visible, when } from "../format.js";
import { many, t } from "../i18n.js";
import { attempt, bones, copy, sure } from "../notice.js";
import { roles } from "./users.js";

function card(made) {
  const line = (id, label, value) => h("div", {}, h("label", { for: id }, label),
    h("div", { class: "row" }, h("input", { id, readonly: true, value }), h("button", { type: "button", onclick: () => copy(value) }, t("copy"))));
  return h("section", { class: `card pad ${made.qr ? "invite" : ""}` },
    made.qr && h("img", { src: `data:image/svg+xml,${encodeURIComponent(made.qr)}`, alt: t("qr_alt"), width: 190, height: 190 }),
    h("div", { class: "stack" }, h("h2", {}, t("invite_ready")), line("invite-web", t("invite_web"), made.web), line("invite-link", t("invite_command"), made.invite),
      h("p", { class: "note" }, t("invite_until", { when: when(made.expires_at) }))));
}

export async function open(body, { signal }) {
  const said = h("div", {});
  const made = h("div", {});
  /** The id of the invite that `made` shows. */
  let shownId;
  let ids = new Set();
  const list = h("div", {}, bones());
  const row = (invite) => h("li", {}, h("div", { class: "item" },
    h("span", { class: "what" }, h("span", { class: "name" }, t(`role_${invite.role}`), " ", invite.space && h("span", { class: "chip" }, visible(invite.space))),
      h("span", { class: "meta" }, invite.created_by && h("span", {}, t("made_by", { user: visible(invite.created_by) })), h("span", {}, t("until", { when: when(invite.expires_at) })),
        h("span", {}, typeof invite.uses_left === "number" ? many("uses_left", invite.uses_left) : t("uses_unlimited")))),
    sure(t("revoke"), `${t(`role_${invite.role}`)} ${t("until", { when: when(invite.expires_at) })}`, (button) => attempt(button, said, async () => {
      await remove(`/invites/${encodeURIComponent(invite.id)}`);
      if (invite.id === shownId) show(made);
      await again();
    }))));
  async function again() {
    const invites = await all("/invites", "invites", {}, { signal });
    ids = new Set(invites.map((invite) => invite.id));
    show(list, invites.length > 0 ? h("ul", { class: "card list" }, invites.map(row)) : h("p", { class: "soft" }, t("no_invites")));
  }
  const spaces = await all("/spaces", "spaces", {}, { signal });
  const button = h("button", { class: "main" }, t("make_invite"));
  const form = h("form", { class: "card pad form" },
    h("div", {}, h("label", { for: "invite-role" }, t("role")), h("select", { id: "invite-role" }, roles("member"))),
    h("div", {}, h("label", { for: "invite-space" }, t("space")), h("select", { id: "invite-space" }, h("option", { value: "" }, t("none")), spaces.map(({ space }) => h("option", { value: space }, visible(space))))),
    h("div", {}, h("label", { for: "invite-uses" }, t("uses")), h("input", { id: "invite-uses", type: "number", min: 1, max: 1000, value: 1 })),
    h("div", {}, h("label", { for: "invite-age" }, t("works_for")), h("select", { id: "invite-age" }, [[86400, "day_1"], [604800, "days_7"], [2592000, "days_30"]].map(([value, key]) => h("option", { value, selected: value === 604800 }, t(key))))), button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = (id) => form.querySelector(id).value;
    attempt(button, said, async () => {
      const wanted = { role: read("#invite-role"), uses: Number(read("#invite-uses")), expires_in: Number(read("#invite-age")), qr: true };
      if (read("#invite-space")) wanted.space = read("#invite-space");
      const before = ids;
      show(made, card(await post("/invites", wanted)));
      await again();
      // The response has the secret but no id: the id is the one that was not listed before.
      shownId = [...ids].find((id) => !before.has(id));
    });
  });
  show(body, form, said, made, list);
  await again();
}
