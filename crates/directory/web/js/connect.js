// Instructions for connecting a computer: commands to run once before the commands that the page recommends.
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { command } from "./notice.js";

/** Quotes a text as one shell word. */
const quoted = (text) => (/^[\w.@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

const joining = (me) => command(`convite join '${me.link}' --user ${quoted(me.user)}`);

/** The card on the account page. */
export const connecting = (me) => h("section", { class: "card pad stack", id: "connect" },
  h("h2", {}, t("connect_title")), h("p", { class: "soft small" }, t("connect_text")), joining(me),
  me.role !== "guest" && h("p", { class: "soft small" }, t("connect_then")), me.role !== "guest" && command("convite peer --share ."));

/** A recommended command, with the commands to run once before it. */
export const recommended = (text, me) => h("div", { class: "recommended" }, command(text), first(me));

/** The commands to run once, collapsed below a command. */
export const first = (me) => h("details", { class: "connect" },
  h("summary", {}, t("connect_title"), icon("turned")), h("p", { class: "small" }, t("connect_text")), joining(me));
