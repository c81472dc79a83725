// Uploads to a peer: files that are dropped or chosen, sent one at a time, with progress.
// Uploads continue while other screens are open.
import { all, heads, Problem } from "./api.js";
import { recommended } from "./connect.js";
import { h, icon, show } from "./dom.js";
import { dropped } from "./dropped.js";
import { base, bytes, number, rate, visible } from "./format.js";
import { t } from "./i18n.js";
import { empty, say, trouble } from "./notice.js";

const waiting = [];
const list = h("ul", { class: "card list", id: "uploads" });
let running = null;

/** Sends one file. Uses XMLHttpRequest because fetch reports no upload progress. */
function send(job) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    job.stop = () => request.abort();
    request.open("POST", `/peers/${encodeURIComponent(job.peer)}/upload`);
    for (const [name, value] of Object.entries(heads())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => job.tell(event.loaded));
    request.addEventListener("load", () => (request.status < 300 ? done(request.response) : failed(new Problem(request.status, request.response ?? {}))));
    request.addEventListener("error", () => failed(new Problem(0, { code: "unreachable" })));
    request.addEventListener("abort", () => failed(new DOMException("", "AbortError")));
    const form = new FormData();
    form.append("file", job.file, job.file.name);
    request.send(form);
  });
}

/** Adds one upload to a peer, with its row in the list. */
function addJob(peer, file) {
  const name = visible(file.name);
  const called = h("span", { class: "name" }, name);
  const bar = h("progress", { max: 100, value: 0, "aria-label": t("progress_of", { name }) });
  const state = h("span", { class: "meta" });
  const sum = h("span", { class: "num" });
  const said = h("div", {});
  const job = { peer, file };
  const cancel = h("button", { class: "bad", type: "button", "aria-label": `${t("cancel")}: ${name}`, onclick: () => job.stop() }, t("cancel"));
  let start;
  const end = (...what) => {
    show(state, h("span", {}, visible(peer)), ...what);
    bar.hidden = cancel.hidden = true;
    show(sum, bytes(file.size));
  };
  const queue = () => {
    start = undefined;
    job.stop = () => { waiting.splice(waiting.indexOf(job), 1); end(h("span", {}, t("cancelled"))); };
    bar.value = 0;
    bar.hidden = cancel.hidden = false;
    show(said);
    show(state, h("span", {}, visible(peer)), h("span", {}, t("state_waiting")));
    show(sum, bytes(file.size));
    waiting.push(job);
  };
  job.tell = (sent) => {
    start ??= performance.now();
    const seconds = (performance.now() - start) / 1000;
    bar.value = file.size ? Math.min(100, (sent / file.size) * 100) : 100;
    show(state, h("span", {}, visible(peer)), h("span", {}, t("state_running")));
    show(sum, `${bytes(Math.min(sent, file.size))} / ${bytes(file.size)}${seconds > 1 ? ` · ${rate(sent / seconds)}` : ""}`);
  };
  job.done = (answer) => {
    const made = answer?.files?.[0];
    // The peer numbers a name that already exists.
    const there = made ? visible(base(made.path)) : name;
    show(called, there);
    end(h("span", { class: "chip" }, t("uploaded")), made && h("a", { href: `#/file/${made.hash}` }, t("open_file")));
    say(t("uploaded_name", { name: there }));
  };
  job.failed = (problem) => {
    end(h("span", { class: "chip off" }, t(problem.name === "AbortError" ? "cancelled" : "state_failed")));
    if (problem.name !== "AbortError") show(said, trouble(problem, () => { queue(); cancel.focus(); work(); }));
  };
  list.prepend(h("li", {}, h("div", { class: "item" }, h("span", { class: "kind", "aria-hidden": "true" }, icon("up")),
    h("span", { class: "what" }, called, state, said, bar), sum, cancel)));
  queue();
}

async function work() {
  if (running) return;
  for (let job = waiting.shift(); job; job = waiting.shift()) {
    running = job;
    job.tell(0);
    try {
      job.done(await send(job));
    } catch (problem) {
      job.failed(problem);
    }
  }
  running = null;
}

// Leaving the page would cancel running uploads.
addEventListener("beforeunload", (event) => { if (running && document.querySelector("#top nav")) event.preventDefault(); });

export async function open(main, { me, signal }) {
  const peers = (await all("/peers", "peers", {}, { signal })).filter((peer) => peer.uploads);
  const title = h("div", { class: "head" }, h("h1", {}, t("nav_upload")));
  if (peers.length === 0) {
    show(main, title, empty("up", t("no_uploads_title"), t("no_uploads_text"), recommended("convite peer --allow-uploads", me)), list);
    return;
  }
  const target = h("select", { id: "to" }, peers.map((peer) => h("option", { value: peer.id }, visible(peer.id))));
  const input = h("input", { id: "files", type: "file", multiple: true, class: "quiet" });
  const zone = h("div", { class: "drop" }, icon("up"), h("p", {}, t("drop_here")), h("p", {}, input, h("label", { class: "button main", for: "files" }, t("choose_files"))));
  show(main, title, h("div", { class: "stack" }, h("div", { class: "to" }, h("label", { for: "to" }, t("upload_to")), target), zone, list));

  const add = (peer, files) => {
    for (const file of files) addJob(peer, file);
    work();
  };
  const over = (is) => (event) => { event.preventDefault(); zone.classList.toggle("over", is); };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", async (event) => {
    over(false)(event);
    const peer = target.value;
    const { files, isAll } = await dropped(event.dataTransfer);
    add(peer, files);
    if (!isAll) say(t("not_all_dropped", { count: number(files.length) }));
  });
  input.addEventListener("change", () => { add(target.value, [...input.files]); input.value = ""; });
    // Otherwise the browser opens a file that is dropped beside the zone.
  const guard = (event) => event.preventDefault();
  for (const kind of ["dragover", "drop"]) addEventListener(kind, guard, { signal });
}
