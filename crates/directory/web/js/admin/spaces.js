// Spaces and their members.
import { all, ask, post, remove } from "../api.js";
import { h, icon, show } from "../dom.js";
import { visible } from "../format.js";
import { many, t } from "../i18n.js";
import { attempt, bones, empty, sure } from "../notice.js";

const path = (space, user) => `/spaces/${encodeURIComponent(space)}${user === undefined ? "" : `/members/${encodeURIComponent(user)}`}`;

/** The editable list of a space's members; calls `tell` with their number. */
function members(space, said, again, tell) {
  const list = h("ul", { class: "stack" });
  const input = h("input", { required: true, autocomplete: "off", "aria-label": t("add_member_to", { space: visible(space) }), placeholder: t("user") });
  const button = h("button", {}, t("add"));
  const form = h("form", { class: "row" }, h("div", {}, input), button);
  async function draw() {
    const names = await all(`${path(space)}/members`, "members");
    tell(names.length);
    show(list, names.map((user) => h("li", { class: "row spread" }, visible(user), sure(t("remove"), visible(user), (pressed) => attempt(pressed, said, async () => {
      await remove(path(space, user));
      await draw();
    })))));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(button, said, async () => {
      await ask("PUT", path(space, input.value.trim()));
      input.value = "";
      await draw();
    });
  });
  const box = h("div", { class: "pad stack" }, list, form, h("p", {}, sure(t("remove_space"), visible(space), (pressed) => attempt(pressed, said, async () => {
    await remove(path(space));
    await again();
  }))));
  return { box, draw };
}

export async function open(body, { signal }) {
  const said = h("div", {});
  const list = h("div", {}, bones());
  function row(space) {
    const count = h("span", { class: "num" }, many("members", space.members));
    const inside = members(space.space, said, again, (number) => show(count, many("members", number)));
    return h("li", {}, h("details", { ontoggle: (event) => event.target.open && attempt(null, said, inside.draw) },
      h("summary", { class: "item" }, h("span", { class: "kind" }, icon("person")), h("span", { class: "what name" }, visible(space.space)), count, icon("turned")),
      inside.box));
  }
  async function again() {
    const spaces = await all("/spaces", "spaces", {}, { signal });
    show(list, spaces.length === 0 ? empty("person", t("no_spaces_title"), t("no_spaces_text")) : h("ul", { class: "card list" }, spaces.map(row)));
  }
  const button = h("button", { class: "main" }, t("add_space"));
  const input = h("input", { id: "new-space", required: true, autocomplete: "off" });
  const form = h("form", { class: "card pad form" }, h("div", {}, h("label", { for: "new-space" }, t("space")), input), button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(button, said, async () => {
      await post("/spaces", { space: input.value.trim() });
      form.reset();
      await again();
    });
  });
  show(body, form, said, list);
  await again();
}
