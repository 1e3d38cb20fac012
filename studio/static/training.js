// A training as it goes: its loss as a line, its samples as they come.
"use strict";
{
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("live"), line = document.getElementById("live-line"), bar = document.getElementById("live-bar");
    const graph = document.getElementById("live-loss"), wishes = document.getElementById("wishes"), list = document.getElementById("live-samples");
    const words = box.dataset, fill = (text, facts) => text.replace(/\{(\w+)\}/g, (_all, name) => facts[name]);
    let points = [], planned = false;
    const draw = () => {
      planned = false;
      if (points.length < 2) return;
      const values = points.map((one) => one[1]), low = Math.min(...values), high = Math.max(...values), last = points.at(-1)[0], first = points[0][0];
      const every = Math.max(1, Math.floor(points.length / 600));
      const place = ([step, loss]) => `${(((step - first) / (last - first || 1)) * 596 + 2).toFixed(1)},${(176 - ((loss - low) / (high - low || 1)) * 170).toFixed(1)}`;
      graph.querySelector("polyline").setAttribute("points", points.filter((_one, at) => at % every === 0 || at === points.length - 1).map(place).join(" "));
      document.getElementById("loss-high").textContent = high.toFixed(4);
      document.getElementById("loss-low").textContent = low.toFixed(4);
      graph.removeAttribute("hidden");
    };
    const events = new EventSource(words.events);
    events.addEventListener("begin", () => { points = []; bar.value = 0; });
    events.addEventListener("tick", (event) => {
      const tick = JSON.parse(event.data);
      if (tick.loss !== null && tick.step > (points.at(-1)?.[0] ?? -1)) points.push([tick.step, tick.loss]);
      bar.hidden = !tick.total; bar.max = tick.total || 1; bar.value = tick.step;
      const told = [fill(words.step, tick)];
      if (tick.phase) told.push(tick.phase);
      if (tick.loss !== null) told.push(`${words.loss} ${tick.loss.toFixed(4)}`);
      if (tick.seconds_per_step) told.push(fill(words.left, { minutes: Math.ceil((tick.total - tick.step) * tick.seconds_per_step / 60) }));
      if (tick.vram_gb !== null) told.push(`${tick.vram_gb.toFixed(1)}${tick.vram_total_gb ? ` / ${tick.vram_total_gb.toFixed(1)}` : ""} GB`);
      if (tick.silent_seconds > 30) told.push(fill(words.silent, { seconds: Math.round(tick.silent_seconds) }));
      line.textContent = told.join(" · ");
      if (wishes) wishes.hidden = !tick.takes_wishes;
      if (tick.sample && !document.getElementById(`sample-${tick.name}`)) list.prepend(cardOf(tick));
      if (!planned) { planned = true; requestAnimationFrame(draw); }
    });
    events.addEventListener("end", (event) => {
      const { end } = JSON.parse(event.data);
      line.textContent = `${line.textContent} · ${words[end] || words.failed}`;
      if (wishes) wishes.hidden = true;
    });
    const cardOf = (tick) => {
      const card = document.createElement("li"), link = document.createElement("a"), image = document.createElement("img"), name = document.createElement("p");
      Object.assign(card, { className: "card", id: `sample-${tick.name}`, tabIndex: -1 });
      card.setAttribute("aria-label", tick.name);
      Object.assign(link, { className: "shot", href: tick.large, tabIndex: -1 });
      link.dataset.large = "";
      Object.assign(image, { src: tick.sample, alt: tick.name, width: 192, height: 192 });
      Object.assign(name, { className: "name", textContent: tick.name });
      link.append(image);
      card.append(link, name);
      return card;
    };
  });
}
