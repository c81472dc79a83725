// Where the page begins: who is here, which screen the address names, and the frame around it.
import { get, post, whenSignedOut } from "./api.js";
import { h, icon, mark, show } from "./dom.js";
import { language, other, speak, t } from "./i18n.js";
import { stopLive } from "./live.js";
import { bones, trouble } from "./notice.js";
import { doors } from "./session.js";
import { startTheme, turnTheme } from "./theme.js";

const SCREENS = {
  search: () => import("./search.js"), file: () => import("./file.js"), browse: () => import("./browse.js"),
  peers: () => import("./peers.js"), transfers: () => import("./transfers.js"), upload: () => import("./upload.js"),
  account: () => import("./account.js"), admin: () => import("./admin.js"),
};
const top = document.getElementById("top");
const main = document.getElementById("main");
let me = null;
let leave = () => {};
let turn = 0;

/** The address' fragment: `#/screen/part/…`. */
function place() {
  const [path] = location.hash.replace(/^#\/?/, "").split("?");
  const [screen, ...parts] = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { screen: screen in SCREENS ? screen : "search", parts };
}

function frame(screen) {
  const links = ["search", "browse", "peers", "transfers", "upload"].filter((name) => name !== "upload" || me.role !== "guest");
  if (me.role === "admin") links.push("admin");
  show(top, h("div", { class: "bar" },
    h("a", { class: "brand", href: "#/search" }, mark(), "Convite"),
    h("nav", { "aria-label": t("sections") }, h("ul", {}, links.map((name) =>
      h("li", {}, h("a", { href: `#/${name}`, "aria-current": name === screen && "page" }, t(`nav_${name}`)))))),
    h("div", { class: "side" },
      h("button", { class: "icon", type: "button", "aria-label": t("other_language"), lang: other(), onclick: () => { speak(other()); draw(); } }, other().toUpperCase()),
      h("button", { class: "icon", type: "button", "aria-label": t("turn_theme"), onclick: turnTheme }, icon("sun")),
      h("a", { class: "icon", href: "#/account", "aria-label": t("nav_account", { user: me.user }) }, icon("person")))));
}

async function draw({ focus = false } = {}) {
  const mine = ++turn;
  leave();
  leave = () => {};
  document.documentElement.lang = language();
  document.getElementById("skip").textContent = t("skip");
  const invite = /^#join=(.+)/.exec(location.hash)?.[1];
  if (!me || invite) {
    show(top);
    doors(main, invite && decodeURIComponent(invite), begin);
    return;
  }
  const { screen, parts } = place();
  frame(screen);
  document.title = `${t(`nav_${screen}`, me)} · Convite`;
  show(main, bones());
  try {
    const module = await SCREENS[screen]();
    if (mine !== turn) return;
    show(main);
    leave = (await module.open(main, { parts, me, signOut })) ?? leave;
    if (mine !== turn) { leave(); return; }
  } catch (problem) {
    if (mine === turn && me) show(main, trouble(problem));
  }
  if (focus && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

async function begin() {
  me = await get("/me");
  if (!location.hash.startsWith("#/")) history.replaceState(null, "", "#/search");
  await draw({ focus: true });
}

async function signOut() {
  await post("/logout").catch(() => {});
  forget();
}

function forget() {
  if (!me) return;
  me = null;
  stopLive();
  draw();
}

startTheme();
whenSignedOut(forget);
addEventListener("hashchange", () => { scrollTo(0, 0); draw({ focus: true }); });
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
begin().catch(() => draw());
