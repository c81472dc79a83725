// Requests to the directory. A session has two halves, and both are required: a cookie, which this script cannot
// read but which is sent to every server on this host, and a key that only pages of this scheme, host and port can read.

/** An error response: RFC 9457, with `code` and `hint`. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.hint = body.hint ?? "";
  }
}

/** The error codes that mean that there is no session, or no longer; a wrong password is not among them. */
export const OVER = ["unauthenticated", "session_expired"];

const KEY = "convite.key";

/** The page's half of the session; null if nobody is signed in. */
export const pageKey = () => localStorage.getItem(KEY);
export const keepKey = (key) => localStorage.setItem(KEY, key);

/** Removes the key `used`, unless another tab has replaced it. */
export function forgetKey(used = pageKey()) {
  if (used === null || pageKey() === used) localStorage.removeItem(KEY);
}

/** The headers of a request with `key`. */
export const heads = (key = pageKey()) => ({ accept: "application/json", ...(key && { "convite-page-key": key }) });

let onSignedOut = () => {};
/** Sets the action to run when a response says that the session has ended. */
export const whenSignedOut = (action) => { onSignedOut = action; };

/** Sends a request with JSON in and out. Throws a `Problem`, or an AbortError if it was aborted. */
export async function ask(method, path, options = {}) {
  const { body, query, signal, stranger } = options;
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const key = stranger ? null : pageKey();
  const init = { method, signal, credentials: "same-origin", headers: heads(key) };
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(url, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable" });
  }
  // Aborted after the response arrived: discard it.
  signal?.throwIfAborted();
  if (!answer.ok) {
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    signal?.throwIfAborted();
    if (OVER.includes(problem.code) && !stranger) {
      // Another tab has signed in again in the meantime.
      if (pageKey() && pageKey() !== key) return ask(method, path, options);
      onSignedOut(key);
    }
    throw problem;
  }
  let text;
  try {
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable" });
  }
  signal?.throwIfAborted();
  return text ? JSON.parse(text) : null;
}

export const get = (path, query, signal) => ask("GET", path, { query, signal });
export const post = (path, body = {}) => ask("POST", path, { body });
export const remove = (path) => ask("DELETE", path);

/** Requests a token for a URL that the browser itself loads; returned as a query string. */
export async function tokenFor(path) {
  const { token } = await post(`${path}/token`);
  return new URLSearchParams({ token }).toString();
}

/** Returns all items of a paginated list, up to `most`. */
export async function all(path, field, query = {}, { most = 20000, signal } = {}) {
  const items = [];
  let cursor;
  do {
    const page = await get(path, { ...query, limit: 500, cursor }, signal);
    items.push(...page[field]);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}
