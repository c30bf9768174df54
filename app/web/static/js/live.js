// Keeps the regions of a page as the service sees them: `<main data-live="ADDRESS">`, `data-region="NAME"`.
//
// One stream, closed while nobody looks. It begins with every region, so whatever was missed is made up for.
// Where streams do not come through, the same address is asked for JSON, and a stream tried again after a while.
// A region tells before it is replaced
// (`live:before`, which can be prevented; `detail.html`) and after (`live:after`).
const FIRST_EVENT_MS = 6000;
const POLL_MS = 3000;
const RECONNECT_MS = 3000;
const POLLS_FOR_MS = 60000;

const main = document.querySelector("main[data-live]");
const lamp = document.getElementById("live-state");
const shown = new Map();
const wanted = new Map();
let source = null;
let timer = 0;
let pollsUntil = 0;
let heardSomething = false;
let ended = false;

function say(state, words) {
  if (!lamp) return;
  lamp.hidden = false;
  lamp.dataset.state = state;
  if (lamp.textContent !== words) lamp.textContent = words;
}

function regions() {
  return [...main.querySelectorAll("[data-region]")];
}

// The way back to an element after its region was made anew.
function wayTo(region, element) {
  if (element.id) return () => document.getElementById(element.id);
  const same = [...region.querySelectorAll(element.tagName)];
  const place = same.indexOf(element);
  return () => region.querySelectorAll(element.tagName)[place];
}

// The same nodes already? So it is when a page has just been loaded: then nothing of it is touched.
function same(region, content) {
  const [old, fresh] = [region.childNodes, content.childNodes];
  return old.length === fresh.length && [...old].every((node, place) => node.isEqualNode(fresh[place]));
}

function replace(region, html) {
  const before = new CustomEvent("live:before", { bubbles: true, cancelable: true, detail: { html } });
  if (!region.dispatchEvent(before)) return;
  const made = document.createElement("template");
  made.innerHTML = html;
  if (same(region, made.content)) return;
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const back = focused && wayTo(region, focused);
  const value = focused && "value" in focused && focused.tagName !== "BUTTON" ? focused.value : null;
  const open = [...region.querySelectorAll("details[id][open]")].map((one) => one.id);
  const scrolled = [...region.querySelectorAll("[data-scroll]")].map((one) => [one.scrollLeft, one.scrollTop]);
  region.replaceChildren(made.content);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  region.querySelectorAll("[data-scroll]").forEach((one, place) => {
    if (scrolled[place]) [one.scrollLeft, one.scrollTop] = scrolled[place];
  });
  window.htmx?.process(region);
  const again = back?.();
  if (again) {
    if (value !== null) again.value = value;
    again.focus({ preventScroll: true });
  }
  region.dispatchEvent(new CustomEvent("live:after", { bubbles: true }));
}

// A press that has begun must find its button when it ends.
function show(region) {
  const html = wanted.get(region.dataset.region);
  if (shown.get(region.dataset.region) === html) return;
  if (region.querySelector(":active")) {
    setTimeout(() => show(region), 300);
    return;
  }
  shown.set(region.dataset.region, html);
  replace(region, html);
}

function take(name, html) {
  wanted.set(name, html);
  for (const region of regions()) if (region.dataset.region === name) show(region);
}

function trouble(words) {
  say(words ? "trouble" : "live", words || "Live");
}

function finish() {
  ended = true;
  close();
  say("ended", "Final");
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function open() {
  close();
  if (document.hidden || ended) return;
  if (Date.now() < pollsUntil) return void poll();
  source = new EventSource(main.dataset.live);
  heardSomething = false;
  timer = setTimeout(pollInstead, FIRST_EVENT_MS);
  const heard = (act) => (event) => {
    clearTimeout(timer);
    heardSomething = true;
    act(event.data);
  };
  for (const name of new Set(regions().map((one) => one.dataset.region)))
    source.addEventListener(
      name,
      heard((html) => {
        if (lamp?.dataset.state !== "trouble") say("live", "Live");
        take(name, html);
      }),
    );
  source.addEventListener("live-trouble", heard(trouble));
  source.addEventListener("live-well", heard(() => trouble("")));
  source.addEventListener("live-end", heard(finish));
  source.addEventListener("error", lost);
}

function pollInstead() {
  pollsUntil = Date.now() + POLLS_FOR_MS;
  open();
}

// A stream that was refused, or whose service went away: ask once for the reason, and try again. Where that is
// answered, and the stream told nothing, streams do not come through.
function lost() {
  const isRefused = !heardSomething;
  close();
  say("lost", "Connection lost, trying again");
  timer = setTimeout(async () => {
    const answer = await ask();
    if (source !== null || ended || document.hidden) return;
    if (!answer) lost();
    else if (isRefused) pollInstead();
    else open();
  }, RECONNECT_MS);
}

async function ask() {
  try {
    const answer = await fetch(main.dataset.live, { headers: { Accept: "application/json" } });
    if (answer.status === 401) location.reload();
    if (!answer.ok) return null;
    const told = await answer.json();
    for (const [name, html] of Object.entries(told.regions)) take(name, html);
    trouble(told.trouble);
    if (told.end) finish();
    return told;
  } catch {
    return null;
  }
}

async function poll() {
  const told = await ask();
  if (!told) say("lost", "Connection lost, trying again");
  if (!ended && !document.hidden) timer = setTimeout(open, POLL_MS);
}

if (main) {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  document.addEventListener("live-refresh", () => {
    ended = false;
    open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  if (document.readyState === "complete") open();
}
