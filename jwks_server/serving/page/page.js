// Keeps an open status page up to date: the server sends the sections that changed, and time passes here.
// The two rules about time are those of moments.py.

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
const LONG_DAYS = 30;
const UNIT_SECONDS = 300;
const REACH_SECONDS = 90 * 86400;
const MIN_WIDTH = 0.5;
const RETRY_MILLISECONDS = 10_000;

export function duration(seconds) {
  const whole = Math.trunc(seconds);
  for (const [size, name, below, belowName] of UNITS) {
    if (whole < size) continue;
    const count = Math.floor(whole / size);
    const rest = Math.floor((whole % size) / below);
    return `${count} ${name}` + (rest && !(name === "d" && count >= LONG_DAYS) ? ` ${rest} ${belowName}` : "");
  }
  return `${whole} s`;
}

export function relative(instant, now) {
  if (Math.abs(instant - now) < 1) return "now";
  return instant > now ? `in ${duration(instant - now)}` : `${duration(now - instant)} ago`;
}

export function place(instant, now) {
  const away = instant - now;
  const part = Math.log1p(Math.min(Math.abs(away), REACH_SECONDS) / UNIT_SECONDS);
  return 50 + (Math.sign(away) * 50 * part) / Math.log1p(REACH_SECONDS / UNIT_SECONDS);
}

// The server's clock counts: a browser's may be wrong.
let ahead = 0;
const now = () => Date.now() / 1000 + ahead;

function believe(element) {
  ahead = Number(element.dataset.now) - Date.now() / 1000;
}

function draw() {
  const instant = now();
  for (const time of document.querySelectorAll("time")) {
    const words = relative(Date.parse(time.dateTime) / 1000, instant);
    if (time.textContent !== words) time.textContent = words;
  }
  for (const rect of document.querySelectorAll(".bar rect")) {
    const { from, to } = rect.dataset;
    const begin = from === "now" ? 50 : from ? place(Number(from), instant) : 0;
    const end = to ? place(Number(to), instant) : 100;
    rect.setAttribute("x", `${begin.toFixed(2)}%`);
    rect.setAttribute("width", `${Math.max(end - begin, MIN_WIDTH).toFixed(2)}%`);
  }
  for (const circle of document.querySelectorAll(".bar circle")) {
    circle.setAttribute("cx", `${place(Number(circle.dataset.at), instant).toFixed(2)}%`);
  }
}

const spots = (element) => [...element.querySelectorAll("a, summary")];

// What the reader has opened or is at stays as it is.
function replace(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const next = template.content.firstElementChild;
  const before = document.getElementById(next.id);
  for (const old of before.querySelectorAll("details")) {
    const summary = next.querySelector(`#${CSS.escape(old.firstElementChild.id)}`);
    if (summary) summary.parentElement.open = old.open;
  }
  const focused = spots(before).indexOf(document.activeElement);
  const { id } = document.activeElement;
  before.replaceWith(next);
  if (focused >= 0) (document.getElementById(id) ?? spots(next)[focused])?.focus({ preventScroll: true });
  believe(next);
}

let source;
let again;

function say(words, state) {
  const live = document.getElementById("live");
  if (live.textContent !== words) live.textContent = words;
  live.className = state;
}

function follow() {
  clearTimeout(again);
  source?.close();
  source = new EventSource(`events${location.search}`);
  source.addEventListener("section", (event) => {
    replace(event.data);
    draw();
    say("live", "on");
  });
  source.addEventListener("stopping", () => say("the server is stopping", "off"));
  source.addEventListener("error", () => {
    say(`not live since ${new Date(now() * 1000).toISOString().slice(11, 19)} UTC; trying again`, "off");
    // After a refusal a browser doesn't try again by itself.
    if (source.readyState === EventSource.CLOSED) again = setTimeout(follow, RETRY_MILLISECONDS);
  });
}

// A page that nobody looks at costs the server nothing.
function seen() {
  if (document.hidden) {
    clearTimeout(again);
    source?.close();
  } else {
    follow();
  }
}

if (globalThis.document?.getElementById("live")) {
  believe(document.getElementById("state"));
  setInterval(draw, 1000);
  document.addEventListener("visibilitychange", seen);
  // The first paint comes first.
  requestAnimationFrame(() => setTimeout(seen));
}
