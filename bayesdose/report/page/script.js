"use strict";
// Charts: a tip at the point that is pointed at or focused, arrow keys between the points of a
// panel, and a patient that stands out. Without this script the charts are still pictures.
for (const chart of document.querySelectorAll(".chart")) {
  const tip = chart.querySelector(".tip");
  const chooser = chart.querySelector("select");
  const points = [...chart.querySelectorAll(".point")];

  const showTip = (point) => {
    tip.textContent = point.getAttribute("aria-label").replaceAll("; ", "\n");
    tip.hidden = false;
    const around = chart.getBoundingClientRect();
    const place = point.querySelector("circle").getBoundingClientRect();
    const left = place.left - around.left + 14;
    tip.style.left = `${Math.max(0, Math.min(left, around.width - tip.offsetWidth))}px`;
    tip.style.top = `${place.bottom - around.top + 10}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  const choose = (patient) => {
    chooser.value = patient;
    chart.classList.toggle("chosen", patient !== "");
    for (const point of points) {
      point.classList.toggle("on", patient !== "" && point.dataset.patient === patient);
    }
  };
  const toggle = (point) => {
    choose(chooser.value === point.dataset.patient ? "" : point.dataset.patient);
  };
  const move = (point, key) => {
    const mine = points.filter((other) => other.ownerSVGElement === point.ownerSVGElement);
    const at = mine.indexOf(point);
    const next = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
      Home: 0, End: mine.length - 1,
    }[key];
    if (next === undefined) return false;
    const goal = mine[Math.max(0, Math.min(next, mine.length - 1))];
    point.setAttribute("tabindex", "-1");
    goal.setAttribute("tabindex", "0");
    goal.focus();
    return true;
  };

  for (const point of points) {
    // the tip replaces the browser's own
    point.querySelector("title")?.remove();
    point.addEventListener("mouseenter", () => showTip(point));
    point.addEventListener("mouseleave", hideTip);
    point.addEventListener("focus", () => showTip(point));
    point.addEventListener("blur", hideTip);
    point.addEventListener("click", () => toggle(point));
    point.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hideTip();
      else if (event.key === "Enter" || event.key === " ") toggle(point);
      else if (!move(point, event.key)) return;
      event.preventDefault();
    });
  }
  chooser.addEventListener("change", () => choose(chooser.value));
  chart.querySelector(".tools").hidden = false;
}
