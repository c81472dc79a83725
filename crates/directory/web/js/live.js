// What the directory tells by itself: one stream of events for the whole page.
import { get } from "./api.js";

let source = null;
const listeners = new Map();

/** Runs `action` with each event `name` (`peers`, `transfers`, `loads`); the answer stops that. */
export function hear(name, action) {
  if (!source) source = listen();
  const take = (event) => {
    let told = null;
    try { told = event.data ? JSON.parse(event.data) : null; } catch { return; }
    action(told);
  };
  source.addEventListener(name, take);
  const all = listeners.get(source) ?? new Set();
  listeners.set(source, all.add(take));
  const from = source;
  return () => {
    from.removeEventListener(name, take);
    all.delete(take);
    if (all.size > 0 || source !== from) return;
    source.close();
    source = null;
  };
}

function listen() {
  const opened = new EventSource("/events");
  opened.addEventListener("error", () => {
    // Refused, not broken: if the session is over, asking for anything says so to the whole page.
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    source = null;
    get("/me").catch(() => {});
  });
  return opened;
}
