// A page that changes by itself. One stream says that something was recorded, and how far running
// work is; what changed the page asks for with its own address, and swaps the parts that differ.
// A page that nobody sees follows nothing.

const MIN_GAP_MS = 2000;
const ANNOUNCE_MS = 10000;
const RETRY_MS = 30000;
const TICK_MS = 1000;
const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

const place = document.querySelector("[data-stream]");
const button = place.querySelector("[data-live-switch]");
const said = place.querySelector("[data-live-said]");
const ahead = Date.parse(place.querySelector("time").dateTime) - Date.now();
const shown = new Map();
let source;
let retry;
let isOn = sessionStorage.getItem("live") !== "off";
let isWanted = false;
let isAsking = false;
let gap = MIN_GAP_MS;
let quietUntil = 0;
const changed = new Set();

// Times

function length(seconds) {
  const [name, unit] = UNITS.find((each) => seconds >= each[1]) ?? ["second", 1];
  const number = Math.floor(seconds / unit);
  return number === 1 ? `1 ${name}` : `${number} ${name}s`;
}

function since(time) {
  return (Date.now() + ahead - Date.parse(time.dateTime)) / 1000;
}

function relative(seconds) {
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${length(seconds)} ago` : `in ${length(-seconds)}`;
}

function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tick() {
  if (!isOn || document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago]")) write(time, relative(since(time)));
  for (const time of document.querySelectorAll("time[data-elapsed]")) {
    write(time, length(Math.max(0, since(time))));
  }
}

// Parts of the page

function plain(html) {
  // What differs in each answer although nothing changed.
  return html
    .replace(/(<time[^>]*data-(?:ago|elapsed)[^>]*>)[^<]*/g, "$1")
    .replace(/(<[^>]*data-work-step[^>]*>)[^<]*/g, "$1")
    .replace(/<progress[^>]*>/g, "<progress>")
    .replace(/(name="form_key" value=")[^"]*/g, "$1")
    .replace(/ class="fresh"/g, "");
}

function isInUse(region) {
  const focused = document.activeElement;
  if (region.contains(focused) && focused.matches("input, select, textarea")) return true;
  return [...region.querySelectorAll("input[type=checkbox]")].some(
    (each) => each.checked !== each.defaultChecked,
  );
}

function swap(region, fresh) {
  const focused = region.contains(document.activeElement) ? document.activeElement.outerHTML : "";
  const open = [...region.querySelectorAll("details")].map((each) => each.open);
  const before = new Set([...region.querySelectorAll("tbody tr, li")].map((each) => plain(each.outerHTML)));
  region.replaceChildren(...fresh.childNodes);
  region.querySelectorAll("details").forEach((each, number) => {
    each.open = open[number] ?? each.open;
  });
  for (const row of region.querySelectorAll("tbody tr, li")) {
    if (!before.has(plain(row.outerHTML))) row.classList.add("fresh");
  }
  if (focused) {
    const same = [...region.querySelectorAll("a, button, summary")];
    same.find((each) => each.outerHTML === focused)?.focus({ preventScroll: true });
  }
}

function bring(page) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(region.id);
    if (!fresh) continue;
    const source = plain(fresh.innerHTML);
    if (source === shown.get(region.id) || isInUse(region)) continue;
    swap(region, document.adoptNode(fresh));
    shown.set(region.id, source);
    const says = region.querySelector("[data-live-says], h2");
    changed.add((says?.textContent ?? region.dataset.live).trim());
  }
}

function announce() {
  // At once, and then not again for a while: nobody can listen to more.
  if (!changed.size || performance.now() < quietUntil) return;
  write(said, `Changed: ${[...changed].join("; ")}`);
  changed.clear();
  quietUntil = performance.now() + ANNOUNCE_MS;
}

async function refresh() {
  isWanted = true;
  if (isAsking) return;
  isAsking = true;
  while (isWanted && isOn && !document.hidden) {
    isWanted = false;
    const began = performance.now();
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.redirected) {
        stop("Signed out");
        break;
      }
      if (answer.ok) {
        bring(new DOMParser().parseFromString(await answer.text(), "text/html"));
        announce();
      }
    } catch {
      // The stream says that the service is away, and when it is back.
    }
    gap = Math.max(MIN_GAP_MS, 5 * (performance.now() - began));
    await new Promise((resolve) => setTimeout(resolve, gap));
  }
  isAsking = false;
}

function showWork(works) {
  const running = new Map(works.map((each) => [each.id, each]));
  const there = [...document.querySelectorAll("[data-work]")];
  for (const element of there) {
    const work = running.get(element.dataset.work);
    if (!work) continue;
    const part = work.total > 0 ? `${work.step}: ${Math.floor((100 * work.done) / work.total)} %` : work.step;
    write(element.querySelector("[data-work-step]"), part);
    const bar = element.querySelector("progress");
    if (bar && work.total > 0) {
      bar.max = work.total;
      bar.value = work.done;
    } else {
      bar?.removeAttribute("value");
    }
  }
  const ids = new Set(there.map((each) => each.dataset.work));
  const isListed = document.querySelector("[data-works]");
  const isNew = isListed && works.some((each) => !ids.has(each.id));
  if (isNew || there.some((each) => !running.has(each.dataset.work))) refresh();
}

// The stream

function stop(why) {
  source?.close();
  source = undefined;
  clearTimeout(retry);
  button.setAttribute("aria-pressed", "false");
  if (why) write(said, why);
  button.title = why ?? "";
}

function start() {
  stop();
  if (!isOn || document.hidden) return;
  source = new EventSource(place.dataset.stream);
  source.addEventListener("open", () => button.setAttribute("aria-pressed", "true"));
  source.addEventListener("changed", refresh);
  source.addEventListener("work", (event) => showWork(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    stop("Not connected; the page is asked for now and then");
    refresh();
    retry = setTimeout(start, RETRY_MS);
  });
}

button.hidden = false;
button.addEventListener("click", () => {
  isOn = !isOn;
  sessionStorage.setItem("live", isOn ? "on" : "off");
  start();
  if (isOn) refresh();
  else write(said, "Paused");
});
document.addEventListener("visibilitychange", () => {
  start();
  if (!document.hidden) refresh();
});
addEventListener("pagehide", () => stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) start();
});
for (const region of document.querySelectorAll("[data-live]")) {
  shown.set(region.id, plain(region.innerHTML));
}
setInterval(tick, TICK_MS);
setInterval(announce, TICK_MS);
start();
