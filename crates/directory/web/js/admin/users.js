// Accounts: who there is, what they may do, new ones.
import { all, ask, post } from "../api.js";
import { h, show } from "../dom.js";
import { visible } from "../format.js";
import { t } from "../i18n.js";
import { narrowed } from "../long.js";
import { attempt, bones, say } from "../notice.js";

export const ROLES = ["member", "guest", "admin"];
export const roles = (chosen) => ROLES.map((role) => h("option", { value: role, selected: role === chosen }, t(`role_${role}`)));

export async function open(body, { me, signal }) {
  const said = h("div", {});
  const list = h("div", {}, bones());
  const change = (user, what) => attempt(null, said, async () => {
    await ask("PATCH", `/users/${encodeURIComponent(user)}`, { body: what });
    say(t("saved"));
    await again();
  });
  const row = (one) => h("li", {}, h("div", { class: "item" },
    h("span", { class: "what" }, h("span", { class: "name" }, visible(one.user), " ", one.disabled && h("span", { class: "chip off" }, t("disabled"))),
      h("span", { class: "meta" }, h("span", {}, t(`role_${one.role}`)), one.spaces.map((space) => h("span", {}, visible(space))))),
    one.user === me.user ? h("span", { class: "chip" }, t("you")) : h("span", { class: "row" },
      h("select", { "aria-label": t("role_of", { user: one.user }), onchange: (event) => change(one.user, { role: event.target.value }) }, roles(one.role)),
      h("button", { type: "button", "aria-label": `${t(one.disabled ? "enable" : "disable")}: ${visible(one.user)}`, onclick: () => change(one.user, { disabled: !one.disabled }) }, t(one.disabled ? "enable" : "disable")),
      h("button", { type: "button", "aria-expanded": "false", "aria-label": t("new_password_of", { user: visible(one.user) }), onclick: (event) => renew(one.user, event.target) }, t("new_password")))));
  /** Opens, or closes, the line below an account for a new password. */
  function renew(user, opener) {
    const item = opener.closest("li");
    const old = item.querySelector("form");
    opener.setAttribute("aria-expanded", String(!old));
    if (old) { old.remove(); return; }
    const input = h("input", { type: "password", required: true, autocomplete: "new-password", "aria-label": t("new_password_of", { user: visible(user) }), placeholder: t("new_password") });
    const form = h("form", { class: "row inner" }, h("input", { class: "quiet", type: "text", autocomplete: "username", value: user, readonly: true, tabindex: -1, "aria-hidden": "true" }), input, h("button", { class: "main" }, t("change_password")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      change(user, { password: input.value });
    });
    item.append(form);
    input.focus();
  }
  async function again() {
    show(list, narrowed(await all("/users", "users", {}, { signal }), row, (one) => one.user));
  }
  const button = h("button", { class: "main" }, t("add_account"));
  const form = h("form", { class: "card pad form" },
    h("div", {}, h("label", { for: "new-user" }, t("user")), h("input", { id: "new-user", required: true, autocomplete: "off" })),
    h("div", {}, h("label", { for: "new-password" }, t("password")), h("input", { id: "new-password", type: "password", required: true, autocomplete: "new-password" })),
    h("div", {}, h("label", { for: "new-role" }, t("role")), h("select", { id: "new-role" }, roles("member"))), button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = (id) => form.querySelector(id).value;
    attempt(button, said, async () => {
      await post("/users", { user: read("#new-user").trim(), password: read("#new-password"), role: read("#new-role") });
      form.reset();
      await again();
    });
  });
  show(body, form, said, list);
  await again();
}
