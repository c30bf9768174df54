// The grid of chunks: a canvas, however many there are. It begins with what stands in the page; the stream tells
// what has changed since, and whoever has missed something fetches the whole of it.
const STATES = {
  d: { word: "done", tone: "--part-upserted" },
  p: { word: "done, rows rejected", tone: "--part-rejected" },
  c: { word: "at work", tone: "--busy" },
  w: { word: "waits to be tried again", tone: "--warn" },
  f: { word: "failed", tone: "--part-failed" },
  r: { word: "ready", tone: "--line-strong" },
};
const SIZES = [
  [300, 22],
  [1500, 16],
  [5000, 12],
  [Infinity, 10],
];
const NARROW = 480;
const RING = 5;

const region = document.getElementById("grid");
const ring = document.getElementById("ring");
const canvas = document.getElementById("cells");
const legend = document.getElementById("legend");
const colour = document.getElementById("colour");
const told = document.getElementById("cell-told");
const panel = document.getElementById("chunk");
const page = document.getElementById("chunks-page");
const first = Number(region.dataset.start);
const address = `/tasks/${region.dataset.task}/chunks`;

let grid = unpacked(JSON.parse(document.getElementById("grid-data").textContent));
let cursor = 0;
let chosen = -1;
let layout = { columns: 1, pitch: 10, scale: 1 };
let waiting = false;

function unpacked(sent) {
  return { ...sent, states: [...sent.states], tries: [...sent.tries] };
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function palette() {
  const found = {};
  for (const [code, { tone }] of Object.entries(STATES)) found[code] = css(tone);
  return {
    ...found,
    surface: css("--surface"),
    text: css("--text"),
    quiet: css("--line-strong"),
    line: css("--line"),
    scale: [css("--part-upserted"), css("--part-duplicate"), css("--part-rejected"), css("--part-failed")],
  };
}

// How far from what is usual: 0 is nothing to look at, 3 is what one looks for.
function step(at) {
  if (colour.value === "tries") return Math.min(3, Math.ceil(Number(grid.tries[at]) / 2));
  const seconds = grid.seconds[at];
  if (seconds === null || !grid.p75) return -1;
  const share = seconds / grid.p75;
  return share <= 1 ? 0 : share <= 2 ? 1 : share <= 4 ? 2 : 3;
}

function measure() {
  const wide = region.clientWidth;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const size = SIZES.find(([most]) => grid.states.length <= most)[1];
  const pitch = Math.round((wide < NARROW ? Math.max(8, Math.min(size, 16) - 2) : size) * rem);
  const columns = Math.max(1, Math.floor(wide / pitch));
  const rows = Math.max(1, Math.ceil(grid.states.length / columns));
  const scale = window.devicePixelRatio || 1;
  layout = { columns, pitch, scale, rows };
  canvas.width = Math.round(columns * pitch * scale);
  canvas.height = Math.round(rows * pitch * scale);
  canvas.style.width = `${columns * pitch}px`;
  canvas.style.height = `${rows * pitch}px`;
}

// A state has a shape of its own; the colour only helps.
function shape(pen, code, x, y, size, fill, colours) {
  const line = Math.max(1, size / 8);
  pen.fillStyle = pen.strokeStyle = fill;
  pen.lineWidth = line;
  if (code === "r" || code === "w") {
    pen.strokeRect(x + line / 2, y + line / 2, size - line, size - line);
    if (code === "w") pen.fillRect(x + size * 0.35, y + size * 0.35, size * 0.3, size * 0.3);
    return;
  }
  if (code === "c") {
    pen.strokeRect(x + line / 2, y + line / 2, size - line, size - line);
    pen.fillRect(x, y + size / 2, size, size / 2);
    return;
  }
  pen.fillRect(x, y, size, size);
  pen.strokeStyle = pen.fillStyle = colours.surface;
  if (code === "p") {
    pen.beginPath();
    pen.moveTo(x + size * 0.45, y);
    pen.lineTo(x + size, y);
    pen.lineTo(x + size, y + size * 0.55);
    pen.fill();
  }
  if (code === "f") {
    pen.lineWidth = Math.max(1.2, size / 7);
    pen.beginPath();
    pen.moveTo(x + size * 0.25, y + size * 0.25);
    pen.lineTo(x + size * 0.75, y + size * 0.75);
    pen.moveTo(x + size * 0.75, y + size * 0.25);
    pen.lineTo(x + size * 0.25, y + size * 0.75);
    pen.stroke();
  }
}

function cell(pen, at, colours) {
  const { columns, pitch } = layout;
  const x = (at % columns) * pitch;
  const y = Math.floor(at / columns) * pitch;
  const gap = pitch >= 12 ? 2 : 1.5;
  const code = grid.states[at];
  pen.clearRect(x, y, pitch, pitch);
  let fill = colours[code];
  if (colour.value !== "state") {
    const far = step(at);
    fill = far < 0 ? colours.quiet : colours.scale[far];
  }
  shape(pen, code, x + gap / 2, y + gap / 2, pitch - gap, fill, colours);
  if (colour.value !== "state" && step(at) > 0) marks(pen, step(at), x + gap / 2, y + gap / 2, pitch - gap, colours);
  if (at === chosen) {
    pen.strokeStyle = colours.text;
    pen.lineWidth = 2;
    pen.strokeRect(x + 1, y + 1, pitch - 2, pitch - 2);
  }
}

// One to three bars: what the colour says, without it.
function marks(pen, count, x, y, size, colours) {
  pen.fillStyle = colours.surface;
  const wide = Math.max(1, size / 9);
  for (let bar = 0; bar < count; bar++) pen.fillRect(x + size * (0.2 + bar * 0.25), y + size * 0.2, wide, size * 0.6);
}

// Around the cell that keys move, larger than it: cells are small, and their colours loud.
function point() {
  const at = document.activeElement === canvas ? cursor : chosen;
  ring.hidden = at < 0 || at >= grid.states.length;
  if (ring.hidden) return;
  const { columns, pitch } = layout;
  ring.style.left = `${(at % columns) * pitch - RING}px`;
  ring.style.top = `${Math.floor(at / columns) * pitch - RING}px`;
  ring.style.width = ring.style.height = `${pitch + 2 * RING}px`;
}

function pen() {
  const found = canvas.getContext("2d");
  found.setTransform(layout.scale, 0, 0, layout.scale, 0, 0);
  return found;
}

function drawAll() {
  waiting = false;
  measure();
  const [on, colours] = [pen(), palette()];
  for (let at = 0; at < grid.states.length; at++) cell(on, at, colours);
  tellLegend(colours);
  point();
}

function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(drawAll);
}

function drawSome(places) {
  const [on, colours] = [pen(), palette()];
  for (const at of places) if (at >= 0 && at < grid.states.length) cell(on, at, colours);
  point();
}

// The legend counts, so that it says in words what the grid shows.
function tellLegend(colours) {
  const entries = colour.value === "state" ? ofStates() : ofSteps();
  legend.replaceChildren(
    ...entries.map(([code, far, words]) => {
      const entry = document.createElement("span");
      const icon = document.createElement("canvas");
      icon.width = icon.height = 32;
      const on = icon.getContext("2d");
      on.scale(2, 2);
      const fill = far === null ? colours[code] : far < 0 ? colours.quiet : colours.scale[far];
      shape(on, code, 1, 1, 14, fill, colours);
      if (far > 0) marks(on, far, 1, 1, 14, colours);
      entry.append(icon, words);
      return entry;
    }),
  );
}

const count = (value) => value.toLocaleString("en-US");

function ofStates() {
  const sums = {};
  for (const code of grid.states) sums[code] = (sums[code] || 0) + 1;
  return Object.keys(STATES)
    .filter((code) => sums[code])
    .map((code) => [code, null, `${count(sums[code])} ${STATES[code].word}`]);
}

function ofSteps() {
  const sums = {};
  grid.states.forEach((_, at) => (sums[step(at)] = (sums[step(at)] || 0) + 1));
  const usual = grid.p75 ? `p75, ${seconds(grid.p75)}` : "p75";
  const words =
    colour.value === "tries"
      ? { 0: "no failed try", 1: "1 or 2", 2: "3 or 4", 3: "5 and more" }
      : { "-1": "no time yet", 0: `up to ${usual}`, 1: "up to 2 × p75", 2: "up to 4 × p75", 3: "longer" };
  return Object.entries(words)
    .filter(([far]) => sums[far])
    .sort(([one], [other]) => one - other)
    .map(([far, said]) => ["d", Number(far), `${count(sums[far])} ${said}`]);
}

const seconds = (value) => (value < 10 ? `${value.toFixed(value < 1 ? 2 : 1)} s` : `${Math.round(value)} s`);

// What is pointed at

function say(at) {
  const tries = grid.tries[at] === "0" ? "" : `, failed tries: ${grid.tries[at]}`;
  const took = grid.seconds[at] === null ? "" : `, took ${seconds(grid.seconds[at])}`;
  return `Chunk ${first + at}: ${STATES[grid.states[at]].word}${tries}${took}`;
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / layout.pitch);
  const row = Math.floor((event.clientY - box.top) / layout.pitch);
  const at = row * layout.columns + column;
  return column >= 0 && column < layout.columns && at >= 0 && at < grid.states.length ? at : -1;
}

function choose(at, move = false) {
  const before = [cursor, chosen];
  cursor = chosen = at;
  drawSome([...before, at]);
  window.htmx.ajax("GET", `${address}/${first + at}`, { target: panel, swap: "innerHTML" }).then(() => {
    const below = panel.getBoundingClientRect().top > window.innerHeight * 0.85;
    if (move && below) panel.scrollIntoView({ block: "nearest" });
  });
}

const STEPS = {
  ArrowLeft: () => cursor - 1,
  ArrowRight: () => cursor + 1,
  ArrowUp: () => cursor - layout.columns,
  ArrowDown: () => cursor + layout.columns,
  PageUp: () => cursor - layout.columns * 10,
  PageDown: () => cursor + layout.columns * 10,
  Home: () => 0,
  End: () => grid.states.length - 1,
};

canvas.addEventListener("keydown", (event) => {
  if (!grid.states.length) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(cursor, true);
  }
  const next = STEPS[event.key]?.();
  if (next === undefined) return;
  event.preventDefault();
  const before = cursor;
  cursor = Math.max(0, Math.min(grid.states.length - 1, next));
  drawSome([before, cursor]);
  told.textContent = say(cursor);
  intoView();
});

function intoView() {
  const top = canvas.getBoundingClientRect().top + Math.floor(cursor / layout.columns) * layout.pitch;
  if (top < 0) window.scrollBy(0, top - 40);
  if (top + layout.pitch > window.innerHeight) window.scrollBy(0, top + layout.pitch - window.innerHeight + 40);
}

canvas.addEventListener("focus", () => {
  if (grid.states.length) told.textContent = say(cursor);
  drawSome([cursor]);
  if (canvas.matches(":focus-visible")) intoView();
});
canvas.addEventListener("blur", () => drawSome([cursor]));
canvas.addEventListener("click", (event) => {
  const at = place(event);
  if (at >= 0) choose(at, true);
});
canvas.addEventListener("mousemove", (event) => {
  const at = place(event);
  const title = at < 0 ? "" : say(at);
  if (canvas.title !== title) canvas.title = title;
});

// What has changed

async function whole() {
  const answer = await fetch(`${address}/cells?start=${first}`, { headers: { Accept: "application/json" } });
  if (answer.ok) take(unpacked(await answer.json()));
}

function take(sent) {
  grid = sent;
  page.hidden = !grid.states.length && !first;
  if (!page.hidden) document.querySelector("main > .empty")?.remove();
  draw();
}

function percentile(values) {
  const known = values.filter((value) => value !== null).sort((one, other) => one - other);
  return known.length ? known[Math.ceil(known.length * 0.75) - 1] : null;
}

function changed(news) {
  if (news.version === grid.version) return;
  if (news.before !== grid.version || !news.changed) return void whole();
  for (const [at, state, tries, took] of news.changed) {
    grid.states[at] = state;
    grid.tries[at] = tries;
    grid.seconds[at] = took;
  }
  take({ ...grid, total: news.total, version: news.version, p75: percentile(grid.seconds) });
  if (news.changed.some(([at]) => at === chosen)) choose(chosen);
}

region.addEventListener("live:before", (event) => {
  event.preventDefault();
  changed(JSON.parse(event.detail.html));
});
colour.addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(draw).observe(region);
draw();
