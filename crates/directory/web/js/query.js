// What is searched for: words and filters, as the address' fragment has them.
import { size } from "./format.js";

/** The values that a filter may have, besides none; of the others any. */
export const CHOICES = {
  type: ["archive", "audio", "code", "document", "image", "video"],
  newer: ["1d", "7d", "30d", "1y"],
  sort: ["providers", "size", "date"],
};
const NAMES = ["q", "type", "min", "max", "newer", "peer", "space", "sort"];

/** From what follows the `?` of a fragment. */
export function parsed(text) {
  const given = new URLSearchParams(text);
  return Object.fromEntries(NAMES.map((name) => {
    const value = (given.get(name) ?? "").slice(0, 900);
    return [name, name in CHOICES && !CHOICES[name].includes(value) ? "" : value];
  }));
}

/** The fragment that says this. */
export function fragment(wanted) {
  const given = new URLSearchParams(NAMES.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
  return [...given].length > 0 ? `#/search?${given}` : "#/search";
}

/** How many filters are set. */
export const filters = (wanted) => NAMES.filter((name) => name !== "q" && name !== "sort" && wanted[name]).length;

/** Whether anything is asked for: the newest of all files are something, all files in no order nothing. */
export const isAsked = (wanted) => wanted.q.trim() !== "" || filters(wanted) > 0 || wanted.sort !== "";

/** For `GET /search`; `unread` names the sizes that cannot be read. */
export function asked(wanted) {
  const [least, most] = [size(wanted.min), size(wanted.max)];
  const unread = [Number.isNaN(least) && "min", Number.isNaN(most) && "max"].filter(Boolean);
  const query = { q: wanted.q, type: wanted.type, min_size: least, max_size: most, newer: wanted.newer, peer: wanted.peer, space: wanted.space, sort: wanted.sort, limit: 30 };
  return { query, unread };
}
