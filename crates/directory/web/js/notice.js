// What the page says: empty states, problems, waiting, and short messages.
import { h, icon, show } from "./dom.js";
import { knows, language, t } from "./i18n.js";

let timer;

/** A short message, also for screen readers; gone after some seconds. */
export function say(text) {
  clearTimeout(timer);
  show(document.getElementById("said"), h("p", {}, text));
  timer = setTimeout(() => show(document.getElementById("said")), 5000);
}

/** The directory's English, unless it names commands to type: there is nowhere to type them here. */
const foreign = (text) => (text && !text.includes("`") ? h("p", { lang: "en" }, text) : "");

/** What went wrong, with what to do. The directory speaks English: in another language the page says it first. */
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

/** What to type elsewhere, to be copied. No line ends within the dashes of a flag. */
export const command = (text) => h("p", { class: "command" },
  h("code", {}, text.split(/(?<= )(--\S+)/).map((part) => (part.startsWith("--") ? h("span", { class: "flag" }, part) : part))),
  h("button", { class: "icon", type: "button", "aria-label": t("copy_what", { what: text }), title: t("copy"), onclick: () => copy(text) }, icon("copy")));

/** Bones of a list that is on its way. */
export const bones = () =>
  h("div", { class: "card", role: "status" }, h("span", { class: "quiet" }, t("loading")),
    [1, 2, 3].map(() => h("div", { class: "bone", "aria-hidden": "true" }, h("i"), h("i"))));

/** Runs `work` for a form: its button rests, and a problem is shown in `place`, with what tries `again`. */
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

/** Asks before what cannot be undone: the button's second press does it. */
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
