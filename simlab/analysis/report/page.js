"use strict";

(function () {
  const PRINT_WIDTH = 680; // pixels between the margins of an A4 page
  const NARROW = 560;
  const CONFIG = {
    responsive: true,
    displaylogo: false,
    displayModeBar: window.innerWidth < NARROW ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    showSendToCloud: false, // nothing of a run may leave the page
    plotlyServerURL: "",
  };
  const plots = Array.from(document.querySelectorAll(".plot"));

  function fit(layout, width) {
    if (width < NARROW) {
      layout.margin = Object.assign({}, layout.margin, { l: 48, r: 8 });
      layout.font = Object.assign({}, layout.font, { size: 11 });
    }
    return layout;
  }

  function draw(plot) {
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    return Plotly.newPlot(plot, figure.data, fit(figure.layout, plot.clientWidth), CONFIG);
  }

  function sort(table, place, header) {
    const before = header.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !header.classList.contains("number");
    const body = table.tBodies[0];
    const numeric = header.classList.contains("number");
    const key = (row) => row.cells[place].dataset.key;
    const compare = numeric
      ? (a, b) => (Number(key(a).replace("inf", "Infinity")) || 0) - (Number(key(b).replace("inf", "Infinity")) || 0)
      : (a, b) => key(a).localeCompare(key(b));
    const rows = Array.from(body.rows).sort(compare);
    body.append(...(ascending ? rows : rows.reverse()));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  for (const table of document.querySelectorAll("table")) {
    Array.from(table.tHead.rows[0].cells).forEach(function (header, place) {
      const button = header.querySelector("button");
      if (button) button.addEventListener("click", () => sort(table, place, header));
    });
  }

  window.addEventListener("beforeprint", function () {
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const plot of plots) {
      const share = plot.parentElement.classList.contains("half") ? 0.49 : 1;
      Plotly.relayout(plot, { width: PRINT_WIDTH * share, autosize: false });
    }
  });
  window.addEventListener("afterprint", function () {
    for (const plot of plots) Plotly.relayout(plot, { width: null, autosize: true });
  });

  Promise.all(plots.map(draw)).then(function () {
    document.documentElement.dataset.figures = "drawn";
  });
})();
