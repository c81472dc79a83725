// The user's account: password, sessions, signing out.
import { all, ask, remove } from "./api.js";
import { connecting } from "./connect.js";
import { h, show } from "./dom.js";
import { ago, visible } from "./format.js";
import { t } from "./i18n.js";
import { longList } from "./long.js";
import { attempt, bones, say, sure } from "./notice.js";
import { PASSWORD_LEAST } from "./session.js";

/** A list of sessions; also used by the administration. */
export function sessionRows(sessions, said, again, withUser = false) {
  return longList(sessions, (session) => h("li", {}, h("div", { class: "item" },
    h("span", { class: "what" },
      h("span", { class: "name" }, withUser ? visible(session.user) : visible(session.peer ?? t("session_without_peer")), " ", session.current && h("span", { class: "chip" }, t("this_session"))),
      h("span", { class: "meta" }, withUser && session.peer && h("span", {}, visible(session.peer)), session.address && h("span", {}, visible(session.address)),
        h("span", {}, t("used", { ago: ago(session.last_used_at) })))),
    !session.current && sure(t("end"), `${visible(session.peer ?? session.user)} ${ago(session.last_used_at)}`, (button) => attempt(button, said, async () => {
      await remove(`/sessions/${encodeURIComponent(session.id)}`);
      await again();
    })))));
}

function password(me) {
  const said = h("div", {});
  const button = h("button", {}, t("change_password"));
  const field = (id, complete, least) => h("div", {}, h("label", { for: id }, t(id)), h("input", { id, type: "password", autocomplete: complete, required: true, minlength: least, placeholder: least && t("password_least", { count: least }) }));
  const form = h("form", { class: "stack" }, h("input", { class: "quiet", type: "text", autocomplete: "username", value: me.user, readonly: true, tabindex: -1, "aria-hidden": "true" }),
    h("div", { class: "form" }, field("old_password", "current-password"), field("new_password", "new-password", PASSWORD_LEAST), button), said);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(button, said, async () => {
      const read = (id) => form.querySelector(id).value;
      await ask("PATCH", `/users/${encodeURIComponent(me.user)}`, { body: { old_password: read("#old_password"), password: read("#new_password") } });
      form.reset();
      say(t("password_changed"));
    });
  });
  return h("section", { class: "card pad stack" }, h("h2", {}, t("password")), form);
}

export async function open(main, { me, signal, signOut }) {
  const said = h("div", {});
  const sessions = h("div", {}, bones());
  const again = async () => show(sessions, sessionRows(await all("/sessions", "sessions", { user: me.user }, { signal }), said, again));
  const refused = h("div", {});
  const out = h("button", { type: "button" }, t("sign_out"));
  const end = () => attempt(out, refused, signOut, end);
  out.addEventListener("click", end);
  show(main, h("div", { class: "head" }, h("h1", {}, me.user), out), refused,
    h("div", { class: "stack-l" },
      h("p", { class: "row" }, h("span", { class: "chip" }, t(`role_${me.role}`)), me.spaces.map((space) => h("span", { class: "chip" }, visible(space)))),
      connecting(me), password(me), h("section", { class: "stack" }, h("h2", {}, t("sessions")), said, sessions)));
  await again();
}
