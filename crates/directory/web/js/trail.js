// State for the Back button. Each entry of the browser's history has a name; under this name, the page keeps the
// screen's data, the scroll position, and the previous screen. Kept in this window only, in memory.

/** Maximum number of remembered entries. */
const MOST = 50;
/** Delay before the URL is updated, in milliseconds. */
const MOMENT = 250;
const entries = new Map();
let here = { name: undefined, hash: "" };
let next;
let renaming;

history.scrollRestoration = "manual";

/** Stores the scroll position before another screen is drawn. */
export function leave() {
  const entry = entries.get(here.name);
  if (entry) entry.top = scrollY;
}

/**
 * Returns the current entry: `memory` for its screen, `top`, its scroll position, `isBack`, whether it was visited
 * before, and `from`, the fragment of the screen that led to it first.
 */
export function arrive() {
  const { hash } = location;
  if (!history.state?.entry) {
    // Unique in this window; `crypto.randomUUID` requires TLS.
    const name = `${Date.now()}-${Math.random()}`;
    history.replaceState({ entry: name, from: here.hash === hash ? "" : here.hash }, "");
  }
  const { entry: name, from } = history.state;
  here = { name, hash };
  next = undefined;
  const isBack = entries.has(name);
  const entry = entries.get(name) ?? { memory: {}, top: 0 };
  entries.delete(name);
  entries.set(name, entry);
  if (entries.size > MOST) entries.delete(entries.keys().next().value);
  return { ...entry, isBack, from };
}

/**
 * Changes the URL of the current entry in place, after a short delay, because browsers limit the rate of such
 * changes while a user types; at the latest before the next navigation.
 */
export function rename(hash) {
  next = hash;
  renaming ??= setTimeout(settle, MOMENT);
}

function settle() {
  clearTimeout(renaming);
  renaming = undefined;
  if (next === undefined || location.hash !== here.hash) return;
  if (next !== here.hash) history.replaceState(history.state, "", next);
  here.hash = location.hash;
  next = undefined;
}

for (const kind of ["click", "pagehide"]) addEventListener(kind, settle, { capture: true });
