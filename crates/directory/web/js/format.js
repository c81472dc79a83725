// Formats numbers, times and names.
import { language, t } from "./i18n.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Formats a size: `1536` → `1.5 KiB`. */
export function bytes(count) {
  let unit = 0;
  let value = Number(count) || 0;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toLocaleString(language(), { maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

export const rate = (perSecond) => `${bytes(perSecond)}/s`;
export const number = (value) => Number(value).toLocaleString(language());

/** Parses a number in the page's language: `1,000` is a thousand in English, and one in Spanish. */
function decimal(text) {
  const [group, point] = language() === "es" ? [".", ","] : [",", "."];
  const isGrouped = new RegExp(`^\\d{1,3}(\\${group}\\d{3})+(\\${point}\\d+)?$`).test(text);
  if (isGrouped) return Number(text.replaceAll(group, "").replace(point, "."));
  return /^\d+([.,]\d+)?$/.test(text) ? Number(text.replace(",", ".")) : NaN;
}

/** Parses `12K`, `3 MB`, `1.5GiB` to bytes; undefined if empty, NaN if it cannot be parsed. */
export function size(text) {
  if (!text.trim()) return undefined;
  const found = /^\s*([\d.,]+)\s*([kmgtp]?)i?b?\s*$/i.exec(text);
  if (!found) return NaN;
  const power = " kmgtp".indexOf(found[2].toLowerCase() || " ");
  return Math.round(decimal(found[1]) * 1024 ** power);
}

/** Formats seconds since 1970 as a date and time. */
export const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });

/** Formats a time relative to now: `2 minutes ago`. */
export function ago(seconds) {
  const past = seconds - Date.now() / 1000;
  const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(past) >= length) return words.format(Math.round(past / length), unit);
  }
  return t("just_now");
}

/** Formats the time since `seconds` as a duration: `2 minutes`. */
export function lasted(seconds) {
  const past = Date.now() / 1000 - seconds;
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (past >= length) return new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: "long" }).format(Math.round(past / length));
  }
  return t("under_minute");
}

// Control characters, characters that change the text direction (UAX #9), and joiners. A joiner between two
// characters outside ASCII is kept: there it is part of the spelling, as in Persian and in emoji.
const HIDDEN = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]" +
    "|(?<![^\\u0000-\\u007f])[\\u200c\\u200d]|[\\u200c\\u200d](?![^\\u0000-\\u007f])",
  "gu",
);

/** A peer's name for display: invisible and direction-changing characters are replaced. */
export const visible = (name) => String(name).replace(HIDDEN, "\ufffd");

export const base = (path) => String(path).split("/").pop();

/** The extension of a name, for the badge: up to four characters. */
export function ending(name) {
  const dot = base(name).lastIndexOf(".");
  const text = dot > 0 ? base(name).slice(dot + 1) : "";
  return /^[A-Za-z0-9]{1,4}$/.test(text) ? text : "";
}
