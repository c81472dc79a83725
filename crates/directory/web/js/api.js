// Asking the directory. The session is a cookie that this script never sees.

/** What the directory said went wrong: RFC 9457, with `code` and `hint`. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.hint = body.hint ?? "";
  }
}

/** The codes of a session that is none, or none any more; a wrong password is not among them. */
export const OVER = ["unauthenticated", "session_expired"];

let onSignedOut = () => {};
/** `action` runs when an answer says that nobody is signed in any more. */
export const whenSignedOut = (action) => { onSignedOut = action; };

/** One request; JSON in and out. Throws a `Problem`, or an AbortError for one that was called off. */
export async function ask(method, path, { body, query, signal, stranger } = {}) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const init = { method, signal, credentials: "same-origin", headers: { accept: "application/json" } };
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
  // Called off when the answer was there already: nobody is to get it.
  signal?.throwIfAborted();
  if (!answer.ok) {
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    signal?.throwIfAborted();
    if (OVER.includes(problem.code) && !stranger) onSignedOut();
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

/** Every item of a list, page after page, up to `most`. */
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
