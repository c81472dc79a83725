// What Back finds again. Each entry of the browser's history has a name; under it lies what its screen
// keeps, how far down one was, and where one came from. Kept in this window, and no longer.

/** So many entries are remembered. */
const MOST = 50;
/** In milliseconds. */
const MOMENT = 250;
const entries = new Map();
let here = { name: undefined, hash: "" };
let next;
let renaming;

history.scrollRestoration = "manual";

/** Before another screen is drawn: remembers how far down one was. */
export function leave() {
  const entry = entries.get(here.name);
  if (entry) entry.top = scrollY;
}

/**
 * The entry that is gone to: `memory` for its screen, `top` where one was in it, `isBack` if one has been there
 * before, and `from`, the fragment of the screen that led to it first.
 */
export function arrive() {
  const { hash } = location;
  if (!history.state?.entry) {
    // Told apart in this window; `crypto.randomUUID` is not there without TLS.
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
 * Changes the address of the entry that is shown, in place: in a moment, because browsers let nobody do that at
 * each key of a quick hand, and in any case before one goes on.
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
