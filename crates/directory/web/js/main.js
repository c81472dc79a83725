// Where the page begins: who is here, which screen the address names, and the frame around it.
import { get, post, Problem, whenSignedOut } from "./api.js";
import { h, icon, mark, show } from "./dom.js";
import { language, other, speak, t } from "./i18n.js";
import { bones, trouble } from "./notice.js";
import { doors, tellOver } from "./session.js";
import { startTheme, turnTheme } from "./theme.js";
import { arrive, leave } from "./trail.js";

const SCREENS = {
  search: () => import("./search.js"), file: () => import("./file.js"), browse: () => import("./browse.js"),
  peers: () => import("./peers.js"), transfers: () => import("./transfers.js"), upload: () => import("./upload.js"),
  account: () => import("./account.js"), admin: () => import("./admin.js"),
};
const top = document.getElementById("top");
const main = document.getElementById("main");
let me = null;
/** Called off when the screen that is shown is left. */
let leaving = new AbortController();
const KEPT = "convite.in";

const decoded = (part) => { try { return decodeURIComponent(part); } catch { return part; } };

/** The address' fragment: `#/screen/part/…?query`. */
function place() {
  const [, path, query] = /^#?\/?([^?]*)\??(.*)$/s.exec(location.hash);
  const [screen, ...parts] = path.split("/").map(decoded);
  return { screen: Object.hasOwn(SCREENS, screen) ? screen : "search", parts, query };
}

/** A screen's module. One that does not come is a directory that does not answer. */
const load = (screen) => SCREENS[screen]().catch(() => { throw new Problem(0, { code: "unreachable" }); });

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
  leaving.abort();
  leave();
  leaving = new AbortController();
  const { signal } = leaving;
  document.documentElement.lang = language();
  document.getElementById("skip").textContent = t("skip");
  // What follows the invite (`&ca=…`) is for the command line.
  const invite = /^#join=([^&]+)/.exec(location.hash)?.[1];
  if (!me || invite) {
    show(top);
    doors(main, invite && decoded(invite), begin, me);
    return;
  }
  const { screen, parts, query } = place();
  const entry = arrive();
  frame(screen);
  document.title = `${t(`nav_${screen}`, me)} · Convite`;
  top.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  // Each screen has a room of its own: what comes late for one that was left is never seen.
  const room = h("div", {});
  const waiting = setTimeout(() => { if (!room.hasChildNodes()) show(room, bones()); }, 150);
  show(main, room);
  if (focus) main.focus({ preventScroll: true });
  try {
    const module = await load(screen);
    if (!signal.aborted) await module.open(room, { parts, query, me, signal, signOut, memory: entry.memory, isBack: entry.isBack, from: entry.from });
    if (!signal.aborted && entry.isBack) scrollTo(0, entry.top);
  } catch (problem) {
    if (!signal.aborted && me) show(room, trouble(problem, isPassing(problem) && draw), !isPassing(problem) && h("p", { class: "after" }, h("a", { href: "#/search" }, t("nav_search"))));
  } finally {
    clearTimeout(waiting);
  }
}

/** Whether the same may work in a moment. */
const isPassing = (problem) => !(problem.status >= 400 && problem.status < 429);

async function begin() {
  const now = await get("/me");
  // Somebody else from here on: begun anew, as below.
  if (me && me.user !== now.user) { location.reload(); return; }
  me = now;
  remember(true);
  if (!location.hash.startsWith("#/")) history.replaceState(null, "", "#/search");
  await draw({ focus: true });
}

/** Throws if the directory does not say that the session has ended: then it has not. */
async function signOut() {
  try {
    await post("/logout");
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  forget();
}

/** The session ended without anybody asking for it here. */
function expire() {
  if (me) tellOver();
  forget();
}

function forget() {
  if (!me) return;
  // Begun anew, so that nothing of one account is there for the next.
  me = null;
  remember(false);
  show(top);
  location.reload();
}

/** Whether somebody was signed in here, no more: strangers need not be asked who they are. */
function remember(is) {
  if (is) localStorage.setItem(KEPT, "yes"); else localStorage.removeItem(KEPT);
}

startTheme();
whenSignedOut(expire);
addEventListener("hashchange", () => {
  const drawn = draw({ focus: true });
  scrollTo(0, 0);
  return drawn;
});
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
if (localStorage.getItem(KEPT)) begin().catch((problem) => { if (problem.status === 401) remember(false); draw(); });
else draw();
