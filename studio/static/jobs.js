// Jobs as they change, the GPU, and a queue that is put in order by dragging or with Shift and the arrows.
"use strict";
{
  let drawn = 0, planned = false, dragged = null;
  const draw = () => {
    if (planned || dragged) return;
    planned = true;
    setTimeout(async () => { planned = false; drawn = Date.now(); if (!dragged) await refresh("jobs"); }, Math.max(0, 700 - (Date.now() - drawn)));
  };
  const events = new EventSource("/events");
  events.addEventListener("job", draw);
  events.addEventListener("gpu", (event) => {
    const rows = document.getElementById("gpu-rows"), { gpus } = JSON.parse(event.data);
    document.getElementById("no-gpu").hidden = gpus.length > 0;
    rows.replaceChildren(...gpus.map((gpu) => {
      const row = document.createElement("li"), name = document.createElement("strong"), meter = document.createElement("meter");
      name.textContent = `${gpu.name} `;
      meter.max = gpu.total_gb; meter.value = gpu.used_gb ?? 0; meter.setAttribute("aria-label", gpu.name);
      const more = [gpu.utilisation === null ? "" : `${gpu.utilisation} %`, gpu.temperature === null ? "" : `${gpu.temperature} ${rows.dataset.degrees}`];
      row.append(name, meter, ` ${(gpu.used_gb ?? 0).toFixed(1)} / ${gpu.total_gb.toFixed(1)} GB `, more.filter(Boolean).join(" · "));
      return row;
    }));
  });
  const rowOf = (target) => target.closest?.("#waiting > .job");
  document.addEventListener("dragstart", (event) => { dragged = rowOf(event.target); event.dataTransfer?.setData("text/plain", dragged?.id || ""); dragged?.classList.add("dragged"); });
  document.addEventListener("dragover", (event) => {
    if (!dragged || !event.target.closest?.("#waiting")) return;
    event.preventDefault();
    const over = rowOf(event.target);
    if (!over || over === dragged) return;
    const box = over.getBoundingClientRect();
    over.parentElement.insertBefore(dragged, event.clientY < box.top + box.height / 2 ? over : over.nextElementSibling);
  });
  document.addEventListener("drop", (event) => { if (dragged) event.preventDefault(); });
  document.addEventListener("dragend", () => {
    if (!dragged) return;
    const form = dragged.querySelector("form");
    form.elements.before.value = dragged.nextElementSibling?.dataset.job || "";
    dragged.classList.remove("dragged");
    dragged = null;
    form.requestSubmit(form.querySelector(".before"));
  });
  document.addEventListener("keydown", (event) => {
    if (!event.shiftKey) return;
    const button = document.activeElement?.closest?.("#waiting > .job")?.querySelector(`[data-move="${event.key}"]`);
    if (button) { event.preventDefault(); event.stopImmediatePropagation(); button.click(); }
  }, true);
}
