// What the page does without being loaded anew. Everything that is written goes through the forms that stand in the page.
"use strict";
const $ = (what, within = document) => within.querySelector(what);
const $$ = (what, within = document) => [...within.querySelectorAll(what)];

// --- pieces: what the server sends is put where the piece of that id stands, or where its list wants it ----------------
function place(piece) {
  const old = document.getElementById(piece.id);
  const list = piece.dataset.list ? document.getElementById(piece.dataset.list) : null;
  if ("gone" in piece.dataset) { old?.remove(); return; }
  if (old && (!list || old.parentElement === list)) { old.replaceWith(piece); return; }
  old?.remove();
  if (!list) return;
  const after = [...list.children].find((one) => (one.dataset.order || "") > (piece.dataset.order || ""));
  list.insertBefore(piece, after || null);
}

function putPieces(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const piece of [...page.body.children]) if (piece.id) place(document.importNode(piece, true));
  const toast = $("#toast");
  if (toast.dataset.job) followJob(toast.dataset.job, "reload" in toast.dataset);
}

function say(text) {
  const toast = $("#toast");
  toast.textContent = text;
}

async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form));
  if (button?.name) fields.set(button.name, button.value);
  const card = button?.closest(".card");
  const next = card && neighbour(card);
  card?.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, headers: { "X-Pieces": "1" } });
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error(answer.status);
    putPieces(await answer.text());
  } catch (error) {
    say(`${document.body.dataset.lost} (${error.message})`);
  }
  if (form.dataset.refresh || refreshes(form)) await refresh(form.dataset.refresh || refreshes(form));
  card?.removeAttribute("aria-busy");
  if (!card) return;
  const same = document.getElementById(card.id);
  const stays = same && (!card.dataset.list || same.parentElement?.id === card.dataset.list);
  focusCard(stays ? same : next && document.getElementById(next.id));
}

// Parts of a page that the server draws anew after each write; the undo of one stands outside of it.
const refreshes = (form) => form.closest("#toast") && $("[data-drawn-anew]")?.id;
async function refresh(id) {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.getElementById(id), old = document.getElementById(id);
  if (!now || !old || now.innerHTML === old.innerHTML) return;
  const focused = current()?.id;
  old.replaceWith(document.importNode(now, true));
  if (focused) focusCard(document.getElementById(focused));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || "whole" in form.dataset) return;
  event.preventDefault();
  send(form, event.submitter);
});

// A long action judges anew in a process of its own: once it ended, what stands here is old.
function followJob(job, reload) {
  const events = new EventSource(`/jobs/${job}/events`);
  events.addEventListener("end", (event) => {
    events.close();
    const told = JSON.parse(event.data);
    if (told.state !== "done") { say(told.problem ? `${told.problem.message} ${told.problem.hint}` : told.state); return; }
    if (reload) location.reload();
  });
}

// --- keys -------------------------------------------------------------------------------------------------------------
const cards = () => $$(".card").filter((card) => card.offsetParent !== null);
const current = () => document.activeElement?.closest?.(".card");

function neighbour(card) {
  const all = [...card.parentElement.children].filter((one) => one.classList.contains("card"));
  const at = all.indexOf(card);
  return all[at + 1] || all[at - 1] || null;
}

function focusCard(card) {
  if (!card) return;
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function move(key) {
  const all = cards(), from = current() || all[0];
  if (!from) return false;
  if (!current()) { focusCard(from); return true; }
  const at = all.indexOf(from);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    focusCard(all[at + (key === "ArrowRight" ? 1 : -1)]);
    return true;
  }
  const here = from.getBoundingClientRect(), down = key === "ArrowDown";
  const ways = (down ? all.slice(at + 1) : all.slice(0, at).reverse());
  let best = null, row = null;
  for (const one of ways) {
    const box = one.getBoundingClientRect();
    if (Math.abs(box.top - here.top) < 4) continue;
    if (row !== null && Math.abs(box.top - row) > 4) break;
    row = box.top;
    const off = Math.abs(box.left - here.left);
    if (!best || off < best.off) best = { one, off };
  }
  focusCard(best?.one);
  return true;
}

const typing = (target) => target.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (target.matches?.("textarea")) {
    const form = target.form;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $(".save", form)?.click(); }
    if (event.key === "Escape") { target.value = target.defaultValue; $(".save", form).hidden = true; focusCard(target.closest(".card")); }
    return;
  }
  if (typing(target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if ($("#large").open) { largeKey(event); return; }
  if ($("dialog[open]")) return;
  if (event.key.startsWith("Arrow")) {
    if (cards().length && move(event.key)) event.preventDefault();
    else anywhereKey(event);
    return;
  }
  const card = current();
  if (event.key === "Enter" && card && target === card) { event.preventDefault(); showLarge(card); return; }
  if (event.key === "?") { event.preventDefault(); $("#help").showModal(); return; }
  if (event.key === "Escape") { say(""); return; }
  if (event.key === "u") { $("#undo")?.click(); return; }
  if (event.key === "c" && card) { const text = $("textarea", card); if (text) { event.preventDefault(); text.focus(); } return; }
  const button = card && event.key.length === 1 && $(`[data-key="${CSS.escape(event.key)}"]`, card);
  if (button) { event.preventDefault(); button.click(); } else anywhereKey(event);
});

// Buttons of the page that stand in no card, such as the answers of the blind test.
function anywhereKey(event) {
  const button = $$("[data-page-key]").find((one) => one.dataset.pageKey === event.key);
  if (button) { event.preventDefault(); button.click(); }
}

document.addEventListener("input", (event) => {
  const save = event.target.matches?.(".card textarea") && $(".save", event.target.form);
  if (save) save.hidden = event.target.value === event.target.defaultValue;
});

// --- one picture, large -----------------------------------------------------------------------------------------------
let shown = null;
function showLarge(card) {
  const link = $("[data-large]", card);
  if (!link) return;
  shown = card;
  const large = $("#large"), image = $("img", large);
  image.src = link.getAttribute("href");
  image.alt = card.getAttribute("aria-label") || "";
  $("figcaption", large).textContent = [...$$(".name, .why, .cure, .prompt", card)].map((one) => one.textContent.trim()).join(" · ");
  if (!large.open) large.showModal();
}
function largeKey(event) {
  if (event.key === "Enter") { event.preventDefault(); $("#large").close(); return; }
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const all = cards();
  if (step && shown) {
    event.preventDefault();
    const next = all[all.findIndex((one) => one.id === shown.id) + step];
    if (next) showLarge(next);
    return;
  }
  const button = shown && event.key.length === 1 && $(`[data-key="${CSS.escape(event.key)}"]`, document.getElementById(shown.id) || shown);
  if (button) { event.preventDefault(); $("#large").close(); button.click(); }
}
document.addEventListener("DOMContentLoaded", () => {
  $("#large").addEventListener("close", () => focusCard(shown && document.getElementById(shown.id)));
  $("#large img").addEventListener("click", () => $("#large").close());
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-large]");
  if (link && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const card = link.closest(".card");
    if (card) showLarge(card);
    return;
  }
  const copied = event.target.closest?.("[data-copy]");
  if (copied) copy(copied);
});

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");  // a page that came by http from another machine has no clipboard
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(button.dataset.copied);
}

// --- colours, help ----------------------------------------------------------------------------------------------------
document.addEventListener("DOMContentLoaded", () => {
  const button = $("#theme"), kinds = ["auto", "light", "dark"];
  const tell = () => { button.textContent = button.dataset[localStorage.getItem("theme") || "auto"]; };
  button.addEventListener("click", () => {
    const next = kinds[(kinds.indexOf(localStorage.getItem("theme") || "auto") + 1) % kinds.length];
    if (next === "auto") { localStorage.removeItem("theme"); delete document.documentElement.dataset.theme; }
    else { localStorage.setItem("theme", next); document.documentElement.dataset.theme = next; }
    tell();
  });
  tell();
  $("#help-open").addEventListener("click", () => $("#help").showModal());
});
