// A diagram of a file's sources: the file in the centre, its peers around it; a dashed line means a partial copy.
import { s } from "./dom.js";
import { bytes, visible } from "./format.js";
import { many, t } from "./i18n.js";

const MOST = 12;

export function holders(file) {
  const shown = file.providers.slice(0, MOST);
  const rest = file.providers.length - shown.length;
  // Up to two peers are placed at the sides, which leaves room for names; a single peer and the file are centred together.
  const centre = shown.length === 1 ? 215 : 170;
  const start = shown.length < 3 ? Math.PI : -Math.PI / 2;
  const spots = shown.map((provider, at) => {
    const turn = (at / shown.length) * 2 * Math.PI + start;
    return { provider, x: centre + 115 * Math.cos(turn), y: 118 + 84 * Math.sin(turn) };
  });
  const label = `${many("providers", file.providers.length)}: ${file.providers.slice(0, 50).map((one) => visible(one.peer)).join(", ")}`;
  const short = (name) => { const text = visible(name); return text.length > 16 ? `${text.slice(0, 15)}…` : text; };
  return s("svg", { class: "holders", viewBox: shown.length < 3 ? "0 66 340 104" : "0 0 340 250", role: "img", "aria-label": label },
    spots.map(({ provider, x, y }) => s("line", { x1: centre, y1: 118, x2: x, y2: y, class: provider.partial && "part" })),
    spots.map(({ provider, x, y }) => s("g", {}, s("title", {}, `${visible(provider.peer)}${provider.partial ? ` (${t("partial")})` : ""}`),
      s("circle", { cx: x, cy: y, r: 11 }), s("text", { x, y: y + 27 }, short(provider.peer)))),
    s("circle", { class: "core", cx: centre, cy: 118, r: 36 }),
    s("text", { class: "core-text", x: centre, y: 122 }, bytes(file.size)),
    rest > 0 && s("text", { x: 320, y: 244 }, `+${rest}`));
}
