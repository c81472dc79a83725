// The page's languages. Each has one file of texts; all files have the same keys.
import en from "./lang/en.js";
import es from "./lang/es.js";

const LANGUAGES = { en, es };
const KEPT = "convite.language";
let current = start();

function start() {
  const kept = localStorage.getItem(KEPT);
  if (kept in LANGUAGES) return kept;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
  return wanted ?? "en";
}

export const language = () => current;
export const other = () => (current === "en" ? "es" : "en");

export function speak(tag) {
  current = tag;
  localStorage.setItem(KEPT, tag);
}

/** Whether the text `key` exists. */
export const knows = (key) => key in LANGUAGES[current];

/** The text `key`, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  const sentence = LANGUAGES[current][key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The text `key_one` if `count` is 1, else `key_many`. */
export const many = (key, count) => t(`${key}_${count === 1 ? "one" : "many"}`, { count: Number(count).toLocaleString(current) });
