// The sessions of all accounts.
import { all } from "../api.js";
import { h, show } from "../dom.js";
import { bones } from "../notice.js";
import { sessionRows } from "../account.js";

export async function open(body, { signal }) {
  const said = h("div", {});
  const list = h("div", {}, bones());
  const again = async () => show(list, sessionRows(await all("/sessions", "sessions", {}, { signal }), said, again, true));
  show(body, said, list);
  await again();
}
