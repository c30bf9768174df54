// Draws `data-points` of the element that a chart names. The chart stays; its points come with each region.
const CSS = getComputedStyle(document.documentElement);
const dark = matchMedia("(prefers-color-scheme: dark)");
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
let plot = null;
let drawn = "";

const colour = (name) => CSS.getPropertyValue(name).trim();

function points(chart) {
  const data = document.getElementById(chart.dataset.chart);
  const text = data?.dataset.points || "[]";
  const rows = JSON.parse(text);
  return { text, columns: [rows.map((row) => row[0]), rows.map((row) => row[1])] };
}

function size(chart) {
  return { width: chart.clientWidth, height: Math.max(200, Math.round(chart.clientWidth / 5)) };
}

function axis(extra) {
  return {
    stroke: colour("--faint"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${colour("--sans")}`,
    ...extra,
  };
}

function options(chart) {
  return {
    ...size(chart),
    cursor: { y: false, points: { size: 7 } },
    legend: { show: false },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(most * 1.15, 1)] } },
    axes: [
      axis({}),
      axis({ size: 62, values: (_, ticks) => ticks.map((tick) => number.format(tick)) }),
    ],
    series: [
      {},
      {
        label: "rows a second",
        stroke: colour("--accent"),
        fill: colour("--accent-wash"),
        width: 2,
        points: { show: false },
        paths: uPlot.paths.spline(),
      },
    ],
  };
}

function draw(chart) {
  const { text, columns } = points(chart);
  if (columns[0].length < 2) {
    if (!plot) chart.replaceChildren(nothing());
    return;
  }
  if (text === drawn && plot) return;
  drawn = text;
  if (plot) plot.setData(columns);
  else {
    chart.replaceChildren();
    plot = new uPlot(options(chart), columns, chart);
  }
}

function nothing() {
  const words = document.createElement("p");
  words.className = "nothing-yet";
  words.textContent = "No rows yet. The chart begins with the first chunk.";
  return words;
}

function again(chart) {
  plot?.destroy();
  plot = null;
  draw(chart);
}

const chart = document.querySelector("[data-chart]");
if (chart) {
  draw(chart);
  document.addEventListener("live:after", () => draw(chart));
  new ResizeObserver(() => plot?.setSize(size(chart))).observe(chart);
  dark.addEventListener("change", () => again(chart));
}
