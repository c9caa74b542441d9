"use strict";
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const plots = Array.from(document.querySelectorAll("[data-figure]"));
  const config = { displayModeBar: false, responsive: true, showTips: false };
  const dateField = document.getElementById("filter-date");
  const segmentField = document.getElementById("filter-segment");
  const PALE = "#e9edf0", INK = "#17212b";
  let date = data.date, segment = -1;

  const copy = (value) => JSON.parse(JSON.stringify(value));

  function keepPoints(figure) {
    for (const trace of figure.data) {
      if (!Array.isArray(trace.customdata)) continue;
      const kept = trace.customdata.map((own) => own === segment);
      for (const name of ["x", "y", "z", "hovertext", "customdata"]) {
        if (Array.isArray(trace[name])) trace[name] = trace[name].filter((_, place) => kept[place]);
      }
    }
  }

  function keepFields(figure, which) {
    const grid = data.grids[segment] && data.grids[segment][which];
    const trace = figure.data[0];
    const blank = (value) => trace.z.map((row) => row.map(() => value));
    trace.z = grid ? grid.z : blank(0);
    trace.text = grid ? grid.text : blank("");
    trace.hovertext = grid ? grid.hovertext : blank("nobody");
    trace.zmax = Math.max(0, ...trace.z.flat()) || 1;
  }

  // What a chosen segment does to each figure; all others show everybody.
  const narrowed = {
    "treemap": function (figure) {
      const trace = figure.data[0];
      trace.marker.colors = trace.marker.colors.map((own, place) => trace.customdata[place] === segment ? own : 0);
      trace.textfont.color = trace.textfont.color.map((own, place) => trace.customdata[place] === segment ? own : INK);
    },
    "score-grid": (figure) => keepFields(figure, 0),
    "spend-grid": (figure) => keepFields(figure, 1),
    "sankey": function (figure) {
      const trace = figure.data[0];
      const own = trace.node.customdata;
      trace.link.color = trace.link.color.map((colour, place) =>
        own[trace.link.source[place]] === segment || own[trace.link.target[place]] === segment ? colour : "rgba(154,165,175,0.12)");
    },
    "sizes-rfm": function (figure) {
      for (const trace of figure.data) if (trace.meta !== segment) trace.marker.color = PALE;
    },
    "space": keepPoints,
    "flat": keepPoints,
    "score-against": keepPoints,
  };

  function hasWebGl() {
    try {
      const canvas = document.createElement("canvas");
      return Boolean(canvas.getContext("webgl"));
    } catch (error) {
      return false;
    }
  }

  function draw(plot) {
    const key = plot.dataset.figure;
    const dated = data.dated[key];
    const source = dated ? dated[date] : data.figures[key];
    const absent = document.querySelector(`[data-absent="${key}"]`);
    plot.hidden = !source;
    absent.hidden = Boolean(source);
    if (!source) return Promise.resolve();
    const figure = copy(source);
    if (segment >= 0 && narrowed[key]) narrowed[key](figure);
    if (window.innerWidth < 700 && figure.layout.legend && figure.data.length > 2 && key !== "space") {
      plot.style.height = `${parseInt(plot.dataset.height, 10) * 1.25}px`;
    }
    if (window.innerWidth < 700 && key === "sankey") {
      for (const note of figure.layout.annotations) note.font.size = 9;
    }
    return Plotly.react(plot, figure.data, figure.layout, config);
  }

  // One figure that a browser cannot draw is no reason to be without the others.
  async function tryToDraw(plot) {
    try {
      await draw(plot);
    } catch (error) {
      console.error(error);
      const absent = document.querySelector(`[data-absent="${plot.dataset.figure}"]`);
      plot.hidden = true;
      absent.hidden = false;
      absent.textContent = "This browser cannot draw this figure.";
    }
  }

  function show() {
    for (const part of document.querySelectorAll("[data-date]")) part.hidden = part.dataset.date !== date;
    const name = segment >= 0 ? segmentField.selectedOptions[0].textContent : null;
    for (const row of document.querySelectorAll("#segments [data-segment], #people [data-segment]")) {
      row.hidden = name !== null && row.dataset.segment !== name;
    }
    return Promise.all(plots.map(tryToDraw));
  }

  function choose() {
    date = dateField.value || data.date;
    segment = segmentField.value === "" ? -1 : Number(segmentField.value);
    show();
  }

  for (const plot of plots) plot.dataset.height = parseInt(plot.style.height, 10);
  if (!hasWebGl()) {
    const space = document.getElementById("figure-space");
    if (space) {
      space.querySelector(".plot").remove();
      const told = space.querySelector("figcaption");
      told.textContent = "This browser draws nothing in three dimensions (WebGL is off); the same customers are shown from one side.";
      plots.splice(plots.findIndex((plot) => plot.dataset.figure === "space"), 1);
    }
  }
  const form = document.getElementById("filters");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", choose);
  form.addEventListener("reset", () => setTimeout(choose, 0));
  form.reset();

  // On paper a figure is as wide as the paper, not as the window was.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    for (const plot of plots) if (!plot.hidden && plot.data) Plotly.relayout(plot, { width: 660, autosize: false });
  });
  window.addEventListener("afterprint", () => {
    for (const plot of plots) if (!plot.hidden && plot.data) Plotly.relayout(plot, { width: null, autosize: true });
  });
  show().then(() => { document.documentElement.dataset.drawn = "yes"; });
})();
