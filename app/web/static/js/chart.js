// Draws `data-points` of the element that a chart names. The chart stays; its points come with each region.
const CSS = getComputedStyle(document.documentElement);
const dark = matchMedia("(prefers-color-scheme: dark)");
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
// Seconds from one mark of a stop-watch to the next.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 604800];
let plot = null;
let drawn = "";
let drawnRem = 0;

const rem = () => parseFloat(CSS.fontSize);
const colour = (name) => CSS.getPropertyValue(name).trim();

function points(chart) {
  const data = document.getElementById(chart.dataset.chart);
  const text = data?.dataset.points || "[]";
  const rows = JSON.parse(text);
  return { text, rows: Number(data?.dataset.rows || 0), columns: [rows.map((row) => row[0]), rows.map((row) => row[1])] };
}

// Seconds since the beginning, as a stop-watch shows them.
function clock(seconds) {
  const [h, m, s] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (part) => String(part).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function size(chart) {
  return { width: chart.clientWidth, height: Math.round(Math.max(14.25 * rem(), chart.clientWidth / 5)) };
}

function axis(extra) {
  return {
    stroke: colour("--faint"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `${0.75 * rem()}px ${colour("--sans")}`,
    ...extra,
  };
}

function options(chart) {
  return {
    ...size(chart),
    cursor: { y: false, points: { size: 7 } },
    legend: { show: false },
    scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(most * 1.15, 1)] } },
    axes: [
      axis({ size: 1.9 * rem(), gap: 0.4 * rem(), incrs: STEPS, values: (_, ticks) => ticks.map(clock) }),
      axis({ size: 3.9 * rem(), values: (_, ticks) => ticks.map((tick) => number.format(tick)) }),
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
  const { text, rows, columns } = points(chart);
  if (columns[0].length < 2) {
    if (!plot) chart.replaceChildren(nothing(rows));
    return;
  }
  if (text === drawn && plot) return;
  drawn = text;
  if (plot) plot.setData(columns);
  else {
    chart.replaceChildren();
    drawnRem = rem();
    plot = new uPlot(options(chart), columns, chart);
  }
}

function nothing(rows) {
  const words = document.createElement("p");
  words.className = "nothing-yet";
  words.textContent = rows
    ? "Too few steps for a chart: rows came within two seconds."
    : "No rows yet. The chart begins with the first chunk.";
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
  new ResizeObserver(() => (rem() === drawnRem ? plot?.setSize(size(chart)) : again(chart))).observe(chart);
  dark.addEventListener("change", () => again(chart));
}
