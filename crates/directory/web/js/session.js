// Signing in, and creating an account with an invite.
import { ask, keepKey } from "./api.js";
import { h, mark, show } from "./dom.js";
import { visible } from "./format.js";
import { language, other, speak, t } from "./i18n.js";
import { attempt } from "./notice.js";

/** Minimum length of a password, in characters. */
export const PASSWORD_LEAST = 8;
/** Set for the next page load when a session ended by itself. */
const OVER = "convite.ended";

/** Makes the sign-in page say that the session has ended. */
export const tellOver = () => sessionStorage.setItem(OVER, "yes");

const field = (id, label, props, note) =>
  h("div", {}, h("label", { for: id }, label), h("input", { id, required: true, ...props }), note && h("p", { class: "note" }, note));

/**
 * Shows the sign-in form, or with an `invite` the form for a new account; `entered` runs after either. A user who is
 * already signed in (`me`) can continue.
 */
export function doors(main, invite, entered, me) {
  const isJoining = invite !== undefined && invite !== null;
  const isOver = !isJoining && sessionStorage.getItem(OVER);
  sessionStorage.removeItem(OVER);
  const said = h("div", {}, isOver && h("p", { class: "trouble", role: "alert" }, t("session_over")));
  const button = h("button", { class: "main" }, t(isJoining ? "make_account" : "sign_in"));
  const form = h("form", { class: "stack" },
    isJoining && field("invite", t("invite"), { value: invite, autocomplete: "off", spellcheck: "false" }, t("invite_note")),
    field("user", t("user"), { autocomplete: "username", autocapitalize: "none", spellcheck: "false" }, isJoining && t("user_note")),
    field("password", t("password"), { type: "password", minlength: isJoining && PASSWORD_LEAST, autocomplete: isJoining ? "new-password" : "current-password" }, isJoining && `${t("password_least", { count: PASSWORD_LEAST })} ${t("password_note")}`),
    said, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = (id) => form.querySelector(`#${id}`).value;
    const user = read("user").trim();
    const password = read("password");
    attempt(button, said, async () => {
      if (isJoining) {
        await ask("POST", "/accounts", { body: { invite: read("invite").trim(), user, password }, stranger: true });
      }
      const session = await ask("POST", "/login", { body: { user, password, cookie: true }, stranger: true });
      keepKey(session.page_key);
      if (isJoining) history.replaceState(null, "", "#/search");
      await entered();
    });
  });
  const turn = (joins) => {
    history.replaceState(null, "", "#/");
    doors(main, joins ? "" : undefined, entered, me);
  };
  show(main, h("div", { class: "door" },
    h("h1", { class: "brand" }, mark(), "Convite"),
    h("div", { class: "card stack" }, h("h2", {}, t(isJoining ? "join_title" : "sign_in_title")), form),
    h("div", { class: "under" },
      me && h("p", {}, h("button", { type: "button", id: "go-on", onclick: () => { location.hash = "#/search"; } }, t("go_on_as", { user: visible(me.user) }))),
      h("button", { class: "plain", type: "button", onclick: () => turn(!isJoining) }, t(isJoining ? "have_account" : "have_invite")),
      h("button", { class: "plain", type: "button", lang: other(), onclick: () => { speak(other()); document.documentElement.lang = language(); doors(main, invite, entered, me); } }, t("other_language")))));
  document.title = `${t(isJoining ? "join_title" : "sign_in_title")} · Convite`;
  form.querySelector(isJoining && !invite ? "#invite" : "#user").focus();
}
