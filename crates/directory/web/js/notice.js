// Messages: empty states, errors, loading, and short notices.
import { h, icon, show } from "./dom.js";
import { knows, language, t } from "./i18n.js";

let timer;

/** Shows a short message, also to screen readers, for five seconds. */
export function say(text) {
  clearTimeout(timer);
  show(document.getElementById("said"), h("p", {}, text));
  timer = setTimeout(() => show(document.getElementById("said")), 5000);
}

/** The directory's English text, unless it names commands: they cannot be typed here. */
const foreign = (text) => (text && !text.includes("`") ? h("p", { lang: "en" }, text) : "");

/** An error with its hint. The directory's texts are English: in another language, the page's own text comes first. */
function words({ code, message, hint }) {
  const isEnglish = language() === "en";
  const said = knows(`problem_${code}`) && t(`problem_${code}`);
  const own = knows(`hint_${code}`) && t(`hint_${code}`);
  const advice = isEnglish ? foreign(hint) || own : own || foreign(hint);
  if (isEnglish) return [foreign(message) || said || t("failed"), advice];
  return [said, advice, foreign(message) || (!said && t("failed"))];
}

export function trouble(problem, again) {
  const said = problem.code === "unreachable" ? [t("unreachable"), t("unreachable_hint")] : words(problem);
  return h("div", { class: "trouble", role: "alert" }, said.filter(Boolean).map((one) => (one instanceof Node ? one : h("p", {}, one))), again && h("p", {}, h("button", { type: "button", onclick: () => again() }, t("again"))));
}

export const empty = (drawing, title, text, ...more) =>
  h("div", { class: "empty" }, icon(drawing), h("h2", {}, title), h("p", {}, text), ...more);

/** A command with a copy button. Lines do not break within a flag. */
export const command = (text) => h("p", { class: "command" },
  h("code", {}, text.split(/(?<= )(--\S+)/).map((part) => (part.startsWith("--") ? h("span", { class: "flag" }, part) : part))),
  h("button", { class: "icon", type: "button", "aria-label": t("copy_what", { what: text }), title: t("copy"), onclick: () => copy(text) }, icon("copy")));

/** Placeholder rows of a list that is loading. */
export const bones = () =>
  h("div", { class: "card", role: "status" }, h("span", { class: "quiet" }, t("loading")),
    [1, 2, 3].map(() => h("div", { class: "bone", "aria-hidden": "true" }, h("i"), h("i"))));

/** Runs `work` with the button disabled; shows an error in `place`, with a button that calls `again`. */
export async function attempt(button, place, work, again) {
  show(place);
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (problem) {
    if (problem.name !== "AbortError") show(place, trouble(problem, again));
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

/** A button that asks for confirmation: the second press runs the action. */
export function sure(label, about, action) {
  const button = h("button", { class: "bad", type: "button", "aria-label": `${label}: ${about}` }, label);
  let armed = false;
  const rest = () => { armed = false; button.textContent = label; button.setAttribute("aria-label", `${label}: ${about}`); button.classList.remove("armed"); };
  button.addEventListener("click", () => {
    if (armed) { rest(); action(button); return; }
    armed = true;
    button.classList.add("armed");
    button.textContent = t("sure");
    button.setAttribute("aria-label", `${t("sure")} ${label}: ${about}`);
  });
  button.addEventListener("blur", rest);
  return button;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say(t("copied"));
  } catch {
    say(t("copy_failed"));
  }
}
