// The search query: words and filters, stored in the fragment of the URL.
import { size } from "./format.js";

/** Valid values of filters besides none; filters that are not listed accept any value. */
export const CHOICES = {
  type: ["folder", "archive", "audio", "code", "document", "image", "video"],
  newer: ["1d", "7d", "30d", "1y"],
  sort: ["providers", "size", "date"],
};
const NAMES = ["q", "type", "min", "max", "newer", "peer", "space", "sort"];

/** Parses the part of a fragment after `?`. */
export function parsed(text) {
  const given = new URLSearchParams(text);
  return Object.fromEntries(NAMES.map((name) => {
    const value = (given.get(name) ?? "").slice(0, 900);
    return [name, name in CHOICES && !CHOICES[name].includes(value) ? "" : value];
  }));
}

/** The fragment for a query. */
export function fragment(wanted) {
  const given = new URLSearchParams(NAMES.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
  return [...given].length > 0 ? `#/search?${given}` : "#/search";
}

/** The number of active filters. */
export const filters = (wanted) => NAMES.filter((name) => name !== "q" && name !== "sort" && wanted[name]).length;

/** Whether the query selects anything: sorting by date alone does, no words and no order do not. */
export const isAsked = (wanted) => wanted.q.trim() !== "" || filters(wanted) > 0 || wanted.sort !== "";

/** The parameters for `GET /search`; `unread` names the size fields that cannot be parsed. */
export function asked(wanted) {
  const [least, most] = [size(wanted.min), size(wanted.max)];
  const unread = [Number.isNaN(least) && "min", Number.isNaN(most) && "max"].filter(Boolean);
  // The page shows and downloads files.
  const query = { q: wanted.q, type: wanted.type || "file", min_size: least, max_size: most, newer: wanted.newer, peer: wanted.peer, space: wanted.space, sort: wanted.sort, limit: 30 };
  return { query, unread };
}
