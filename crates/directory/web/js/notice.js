// What the page says: empty states, problems, waiting, and short messages.
import { h, icon, show } from "./dom.js";
import { t } from "./i18n.js";

let timer;

/** A short message, also for screen readers; gone after some seconds. */
export function say(text) {
  clearTimeout(timer);
  show(document.getElementById("said"), h("p", {}, text));
  timer = setTimeout(() => show(document.getElementById("said")), 5000);
}

/** What went wrong, with what to do. */
export function trouble(problem) {
  const isSilent = problem.code === "unreachable";
  const text = isSilent ? t("unreachable") : problem.message;
  const hint = isSilent ? t("unreachable_hint") : problem.hint;
  return h("div", { class: "trouble", role: "alert" }, h("p", {}, text), hint && h("p", {}, hint));
}

export const empty = (drawing, title, text, ...more) =>
  h("div", { class: "empty" }, icon(drawing), h("h2", {}, title), h("p", {}, text), ...more);

/** Bones of a list that is on its way. */
export const bones = () =>
  h("div", { class: "card", role: "status" }, h("span", { class: "quiet" }, t("loading")),
    [1, 2, 3].map(() => h("div", { class: "bone", "aria-hidden": "true" }, h("i"), h("i"))));

/** Runs `work` for a form: its button rests, and a problem is shown in `place`. */
export async function attempt(button, place, work) {
  show(place);
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (problem) {
    if (problem.name !== "AbortError") show(place, trouble(problem));
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

/** Asks before what cannot be undone: the button's second press does it. */
export function sure(label, action) {
  const button = h("button", { class: "bad", type: "button" }, label);
  let armed = false;
  const rest = () => { armed = false; button.textContent = label; };
  button.addEventListener("click", () => {
    if (armed) { rest(); action(button); return; }
    armed = true;
    button.textContent = t("sure");
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
