// Two portraits side by side, the real photo beside them; and the favourites alone.
"use strict";
{
  let chosen = [];
  const mark = () => document.querySelectorAll("[data-compare]").forEach((button) =>
    button.setAttribute("aria-pressed", String(chosen.includes(button.closest(".card").id))));
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-compare]");
    if (!button) return;
    const card = button.closest(".card");
    chosen = chosen.includes(card.id) ? chosen.filter((one) => one !== card.id) : [...chosen, card.id];
    mark();
    if (chosen.length < 2) return;
    const dialog = document.getElementById("compare");
    chosen.forEach((id, at) => {
      const one = document.getElementById(id), figure = dialog.querySelectorAll("figure")[at];
      figure.querySelector("img").src = one.dataset.full;
      figure.querySelector("img").alt = one.getAttribute("aria-label");
      figure.querySelector("figcaption").textContent = one.getAttribute("aria-label");
    });
    const photo = dialog.querySelector(".real img");
    if (photo?.dataset.src) { photo.src = photo.dataset.src; delete photo.dataset.src; }
    dialog.addEventListener("close", () => { const last = chosen[1]; chosen = []; mark(); document.getElementById(last)?.focus(); }, { once: true });
    dialog.showModal();
  });
  document.addEventListener("DOMContentLoaded", () => {
    const only = document.getElementById("only");
    only?.addEventListener("click", () => {
      const on = only.getAttribute("aria-pressed") !== "true";
      only.setAttribute("aria-pressed", String(on));
      document.body.classList.toggle("only-favourites", on);
    });
  });
}
