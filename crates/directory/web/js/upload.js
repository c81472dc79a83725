// Files from here to a peer that takes them: dropped, or chosen; one after the other, with progress.
import { all, Problem } from "./api.js";
import { h, icon, show } from "./dom.js";
import { bytes, visible } from "./format.js";
import { t } from "./i18n.js";
import { command, empty, say, trouble } from "./notice.js";

/** Sends one file; XMLHttpRequest, because fetch tells nothing of what has gone out. */
function send(peer, file, tell, keep) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    keep(request);
    request.open("POST", `/peers/${encodeURIComponent(peer)}/upload`);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("load", () => (request.status < 300 ? done(request.response) : failed(new Problem(request.status, request.response ?? {}))));
    request.addEventListener("error", () => failed(new Problem(0, { code: "unreachable" })));
    request.addEventListener("abort", () => failed(Object.assign(new Error(), { name: "AbortError" })));
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

export async function open(main) {
  const peers = (await all("/peers", "peers")).filter((peer) => peer.uploads);
  const title = h("div", { class: "head" }, h("h1", {}, t("nav_upload")));
  if (peers.length === 0) {
    show(main, title, empty("down", t("no_uploads_title"), t("no_uploads_text"), command("convite peer --allow-uploads")));
    return undefined;
  }
  const target = h("select", { id: "to" }, peers.map((peer) => h("option", { value: peer.id }, visible(peer.id))));
  const input = h("input", { id: "files", type: "file", multiple: true });
  const list = h("ul", { class: "list" });
  const zone = h("div", { class: "drop stack" }, icon("folder"), h("p", {}, t("drop_here")), h("div", {}, h("label", { for: "files" }, t("choose_files")), input));
  show(main, title, h("div", { class: "stack" }, h("div", { class: "card pad" }, h("label", { for: "to" }, t("upload_to")), target), zone, h("div", { class: "card" }, list)));
  zone.querySelector("svg").setAttribute("width", "40");

  const waiting = [];
  let running = false;
  async function work() {
    if (running) return;
    running = true;
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { peer, file, bar, state } = next;
      let request;
      const stop = h("button", { class: "plain", type: "button", onclick: () => request?.abort() }, t("cancel"));
      bar.after(stop);
      try {
        const answer = await send(peer, file, (sent) => { bar.value = file.size ? (sent / file.size) * 100 : 100; state.textContent = `${bytes(Math.min(sent, file.size))} / ${bytes(file.size)}`; }, (made) => { request = made; });
        bar.value = 100;
        const made = answer?.files?.[0];
        show(state, made ? h("a", { href: `#/file/${made.hash}` }, t("uploaded")) : t("uploaded"));
        say(t("uploaded_name", { name: visible(file.name) }));
      } catch (problem) {
        show(state, problem.name === "AbortError" ? t("cancelled") : trouble(problem));
      }
      stop.remove();
    }
    running = false;
  }

  function add(files) {
    for (const file of files) {
      const bar = h("progress", { max: 100, value: 0, "aria-label": t("progress_of", { name: visible(file.name) }) });
      const state = h("span", { class: "meta" }, bytes(file.size));
      list.append(h("li", {}, h("div", { class: "item" }, h("span", { class: "what" }, h("span", { class: "name" }, visible(file.name)), state, bar))));
      waiting.push({ peer: target.value, file, bar, state });
    }
    work();
  }
  const over = (is) => (event) => { event.preventDefault(); zone.classList.toggle("over", is); };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => { over(false)(event); add(event.dataTransfer.files); });
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
  return undefined;
}
