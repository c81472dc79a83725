// Accounts: list, roles, passwords, new accounts.
import { all, ask, post } from "../api.js";
import { h, show } from "../dom.js";
import { visible } from "../format.js";
import { t } from "../i18n.js";
import { following } from "../long.js";
import { attempt, bones, say, sure } from "../notice.js";
import { PASSWORD_LEAST } from "../session.js";

export const ROLES = ["member", "guest", "admin"];
export const roles = (chosen) => ROLES.map((role) => h("option", { value: role, selected: role === chosen }, t(`role_${role}`)));

export async function open(body, { me, signal }) {
  const said = h("div", {});
  /** Sends a change; resolves to true if it succeeded. */
  const change = (button, user, what) => attempt(button, said, async () => {
    await ask("PATCH", `/users/${encodeURIComponent(user)}`, { body: what });
    say(t("saved"));
    await again();
    return true;
  });

  /** The controls for another account. */
  function controls(user, line) {
    const name = visible(user);
    let is = {};
    const select = h("select", { "aria-label": t("role_of", { user: name }) }, roles());
    const save = h("button", { class: "main", type: "button", hidden: true, "aria-label": `${t("save")}: ${t("role_of", { user: name })}` }, t("save"));
    const back = h("button", { type: "button", hidden: true, "aria-label": `${t("cancel")}: ${t("role_of", { user: name })}` }, t("cancel"));
    const settle = (role) => { select.value = role; save.hidden = back.hidden = true; };
    select.addEventListener("change", () => { save.hidden = back.hidden = select.value === is.role; });
    save.addEventListener("click", async () => {
      const wanted = select.value;
      const isDone = await change(save, user, { role: wanted });
      settle(isDone ? wanted : is.role);
      select.focus();
    });
    back.addEventListener("click", () => { settle(is.role); select.focus(); });
    const enable = h("button", { type: "button", "aria-label": `${t("enable")}: ${name}`, onclick: async () => {
      if (await change(enable, user, { disabled: false })) disable.focus();
    } }, t("enable"));
    const disable = sure(t("disable"), name, async () => { if (await change(disable, user, { disabled: true })) enable.focus(); });
    const renewing = h("button", { type: "button", "aria-expanded": "false", "aria-label": t("new_password_of", { user: name }), onclick: () => renew(user, line, renewing) }, t("new_password"));
    const update = (one) => {
      // Keep a selection that is not saved yet.
      if (save.hidden || select.value === one.role) settle(one.role);
      is = one;
      enable.hidden = !one.disabled;
      disable.hidden = one.disabled;
    };
    return { parts: [select, save, back, disable, enable, renewing], update };
  }

  /** Toggles the form for a new password below an account. */
  function renew(user, line, opener) {
    const old = line.querySelector("form");
    const close = () => { opener.setAttribute("aria-expanded", "false"); line.querySelector("form")?.remove(); opener.focus(); };
    if (old) { close(); return; }
    opener.setAttribute("aria-expanded", "true");
    const input = h("input", { type: "password", required: true, minlength: PASSWORD_LEAST, autocomplete: "new-password", "aria-label": t("new_password_of", { user: visible(user) }), placeholder: t("new_password") });
    const button = h("button", { class: "main" }, t("change_password"));
    const form = h("form", { class: "row inner" }, h("input", { class: "quiet", type: "text", autocomplete: "username", value: user, readonly: true, tabindex: -1, "aria-hidden": "true" }), input, button,
      h("p", { class: "note" }, t("password_least", { count: PASSWORD_LEAST })));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await change(button, user, { password: input.value })) close();
    });
    line.append(form);
    input.focus();
  }

  function makeRow(one) {
    const name = h("span", { class: "name" });
    const meta = h("span", { class: "meta" });
    const line = h("li", {});
    const own = one.user === me.user ? null : controls(one.user, line);
    line.append(h("div", { class: "item" }, h("span", { class: "what" }, name, meta),
      own ? h("span", { class: "row" }, own.parts) : h("span", { class: "chip" }, t("you"))));
    const update = (now) => {
      show(name, visible(now.user), " ", now.disabled && h("span", { class: "chip off" }, t("disabled")));
      show(meta, h("span", {}, t(`role_${now.role}`)), now.spaces.map((space) => h("span", {}, visible(space))));
      own?.update(now);
    };
    return { line, update };
  }

  const list = following((one) => one.user, makeRow, (one) => one.user);
  const again = async () => list.follow(await all("/users", "users", {}, { signal }));
  const button = h("button", { class: "main" }, t("add_account"));
  const form = h("form", { class: "card pad form" },
    h("div", {}, h("label", { for: "new-user" }, t("user")), h("input", { id: "new-user", required: true, autocomplete: "off" })),
    h("div", {}, h("label", { for: "new-password" }, t("password")), h("input", { id: "new-password", type: "password", required: true, minlength: PASSWORD_LEAST, placeholder: t("password_least", { count: PASSWORD_LEAST }), autocomplete: "new-password" })),
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
  const waiting = bones();
  show(body, form, said, waiting, list.element);
  await again();
  waiting.remove();
}
