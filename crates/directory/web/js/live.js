// Server-sent events: one stream for the whole page, open while a screen listens. The browser reconnects a
// stream that breaks; a refused stream is reopened here after 2, 4, … 30 seconds. Events in between are lost,
// so listeners start again from the next event.
import { OVER, tokenFor } from "./api.js";
import { h, show } from "./dom.js";
import { t } from "./i18n.js";

const PAUSE_LEAST = 2000;
const PAUSE_MOST = 30000;
/** Time without a stream before the page reports it, in milliseconds. */
const UNSAID = 2000;
const listeners = { peers: new Set(), transfers: new Set(), loads: new Set() };
const bar = document.getElementById("lost");
let source = null;
/** Number of the current attempt to open; an attempt that was cancelled while its token was requested has another. */
let opening = 0;
let pause = PAUSE_LEAST;
let reopening;
let saying;
let isLost = false;
let isOpening = false;

/** Runs `action` for each event `name` (`peers`, `transfers`, `loads`) until `signal` aborts. */
export function hear(name, action, signal) {
  if (signal.aborted) return;
  const listener = { action };
  listeners[name].add(listener);
  if (!source && !reopening && !isOpening) open();
  signal.addEventListener("abort", () => {
    listeners[name].delete(listener);
    if (Object.values(listeners).every((set) => set.size === 0)) close();
  }, { once: true });
}

const tell = (name, told) => { for (const { action } of [...listeners[name]]) action(told); };

/** Opens the stream with a new token, because EventSource sends no headers. */
async function open() {
  reopening = undefined;
  isOpening = true;
  const mine = ++opening;
  let token;
  try {
    token = await tokenFor("/events");
  } catch (problem) {
    if (mine !== opening) return;
    isOpening = false;
    // The API module has already handled the end of the session.
    if (OVER.includes(problem.code)) { close(); return; }
    lose();
    later();
    return;
  }
  if (mine !== opening) return;
  isOpening = false;
  const opened = new EventSource(`/events?${token}`);
  source = opened;
  opened.addEventListener("open", () => {
    pause = PAUSE_LEAST;
    // Entries that are not sent again have ended: clear the lists.
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

/** Schedules a new attempt after a refused stream, for example because its token expired. */
function refused() {
  source.close();
  source = null;
  later();
}

function later() {
  reopening = setTimeout(open, pause);
  pause = Math.min(PAUSE_MOST, pause * 2);
}

function close() {
  opening += 1;
  isOpening = false;
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

/** Wraps `action` to run at most once per `pause` milliseconds, including the last call, until `signal` aborts. */
export function calm(action, pause, signal) {
  let last = Date.now();
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    if (timer || signal.aborted) return;
    timer = setTimeout(() => { timer = undefined; last = Date.now(); action(); }, Math.max(0, last + pause - Date.now()));
  };
}
