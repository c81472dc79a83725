// What the directory tells by itself: one stream of events for the whole page, open while a screen
// listens. A stream that breaks off is taken up again by the browser; one that is refused by this,
// after 2, 4, … 30 seconds. What is told meanwhile is lost, and so listeners begin anew with the next.
import { get, OVER } from "./api.js";
import { h, show } from "./dom.js";
import { t } from "./i18n.js";

const PAUSE_LEAST = 2000;
const PAUSE_MOST = 30000;
/** So long, in milliseconds, may the stream be away before that is said. */
const UNSAID = 2000;
const listeners = { peers: new Set(), transfers: new Set(), loads: new Set() };
const bar = document.getElementById("lost");
let source = null;
let pause = PAUSE_LEAST;
let reopening;
let saying;
let isLost = false;

/** Runs `action` with each event `name` (`peers`, `transfers`, `loads`) until `signal` is called off. */
export function hear(name, action, signal) {
  if (signal.aborted) return;
  const listener = { action };
  listeners[name].add(listener);
  if (!source && !reopening) open();
  signal.addEventListener("abort", () => {
    listeners[name].delete(listener);
    if (Object.values(listeners).every((set) => set.size === 0)) close();
  }, { once: true });
}

const tell = (name, told) => { for (const { action } of [...listeners[name]]) action(told); };

function open() {
  reopening = undefined;
  const opened = new EventSource("/events");
  source = opened;
  opened.addEventListener("open", () => {
    pause = PAUSE_LEAST;
    // What is not told again is no more: lists begin empty.
    if (isLost) for (const name of ["transfers", "loads"]) tell(name, null);
    found();
  });
  opened.addEventListener("error", () => {
    if (source !== opened) return;
    lose();
    if (opened.readyState === EventSource.CLOSED) refused();
  });
  for (const name of Object.keys(listeners)) {
    opened.addEventListener(name, (event) => {
      let told = null;
      try { told = event.data ? JSON.parse(event.data) : null; } catch { return; }
      tell(name, told);
    });
  }
}

/** Tries again later; if the session is over, asking for anything has said so to the whole page. */
async function refused() {
  source.close();
  source = null;
  reopening = setTimeout(open, pause);
  pause = Math.min(PAUSE_MOST, pause * 2);
  await get("/me").catch((problem) => { if (OVER.includes(problem.code)) close(); });
}

function close() {
  source?.close();
  source = null;
  clearTimeout(reopening);
  reopening = undefined;
  pause = PAUSE_LEAST;
  found();
}

function lose() {
  if (isLost) return;
  isLost = true;
  saying = setTimeout(() => show(bar, h("p", {}, t("lost"))), UNSAID);
}

function found() {
  isLost = false;
  clearTimeout(saying);
  show(bar);
}

/** `action`, at most once in `pause` milliseconds, the last call included, until `signal` is called off. */
export function calm(action, pause, signal) {
  let last = Date.now();
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    if (timer || signal.aborted) return;
    timer = setTimeout(() => { timer = undefined; last = Date.now(); action(); }, Math.max(0, last + pause - Date.now()));
  };
}
