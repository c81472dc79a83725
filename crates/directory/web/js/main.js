// The start of the page: the session, the screen named by the URL, and the frame around it.
import { forgetKey, get, pageKey, post, Problem, whenSignedOut } from "./api.js";
import { h, icon, mark, show } from "./dom.js";
import { language, other, speak, t } from "./i18n.js";
import { bones, trouble } from "./notice.js";
import { doors, tellOver } from "./session.js";
import { startTheme, turnTheme } from "./theme.js";
import { arrive, leave } from "./trail.js";

const SCREENS = {
  search: () => import("./search.js"), file: () => import("./file.js"), folder: () => import("./folder.js"),
  browse: () => import("./browse.js"), peers: () => import("./peers.js"), transfers: () => import("./transfers.js"),
  upload: () => import("./upload.js"), account: () => import("./account.js"), admin: () => import("./admin.js"),
};
const top = document.getElementById("top");
const main = document.getElementById("main");
let me = null;
/** Aborted when the user leaves the current screen. */
let leaving = new AbortController();

const decoded = (part) => { try { return decodeURIComponent(part); } catch { return part; } };

/** The parsed fragment of the URL: `#/screen/part/…?query`. */
function place() {
  const [, path, query] = /^#?\/?([^?]*)\??(.*)$/s.exec(location.hash);
  const [screen, ...parts] = path.split("/").map(decoded);
  return { screen: Object.hasOwn(SCREENS, screen) ? screen : "search", parts, query };
}

/** Loads a screen's module. A failure means that the directory does not answer. */
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
  // The part after the invite (`&ca=…`) is for the command line.
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
  // Each screen has its own container, so that late responses of a previous screen are not shown.
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

/** Whether trying again may help. */
const isPassing = (problem) => !(problem.status >= 400 && problem.status < 429);

async function begin() {
  const now = await get("/me");
  // Another account: reload, as in `forget`.
  if (me && me.user !== now.user) { location.reload(); return; }
  me = now;
  if (!location.hash.startsWith("#/")) history.replaceState(null, "", "#/search");
  await draw({ focus: true });
}

/** Signs out. Throws unless the directory confirms that the session has ended. */
async function signOut() {
  try {
    await post("/logout");
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  forget();
}

/** Handles the end of the session of `key` that the user did not request. */
function expire(key) {
  if (me) tellOver();
  forget(key);
}

function forget(key = pageKey()) {
  if (!me) return;
  // Reload, so that no data of one account remains for the next.
  me = null;
  forgetKey(key);
  show(top);
  location.reload();
}

startTheme();
whenSignedOut(expire);
addEventListener("hashchange", () => {
  const drawn = draw({ focus: true });
  scrollTo(0, 0);
  return drawn;
});
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
// Without a page key nobody is signed in, and no request is necessary.
const kept = pageKey();
if (kept) begin().catch((problem) => { if (problem.status === 401) forgetKey(kept); draw(); });
else draw();
