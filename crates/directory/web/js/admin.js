// Administration: one screen each for accounts, spaces, invites, sessions and the log.
import { h, show } from "./dom.js";
import { t } from "./i18n.js";

const PARTS = {
  users: () => import("./admin/users.js"), spaces: () => import("./admin/spaces.js"), invites: () => import("./admin/invites.js"),
  sessions: () => import("./admin/sessions.js"), audit: () => import("./admin/audit.js"),
};

export async function open(main, { parts: [name], me, signal }) {
  const part = name in PARTS ? name : "users";
  const body = h("div", { class: "stack" });
  show(main, h("div", { class: "head" }, h("h1", {}, t("nav_admin"))),
    h("nav", { class: "tabs", "aria-label": t("nav_admin") }, Object.keys(PARTS).map((one) =>
      h("a", { href: `#/admin/${one}`, "aria-current": one === part && "page" }, t(`admin_${one}`)))), body);
  main.querySelector(".tabs [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
  const module = await PARTS[part]();
  return module.open(body, { me, signal });
}
