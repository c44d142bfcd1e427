const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const episode = JSON.parse(document.getElementById("episode").textContent);
const numTicks = episode.ticks.length - 1;
const at = (id) => document.getElementById(id);

let position = 0;  // ticks that have passed; a fraction while it plays
let speed = 1;
let lastTime = null;  // of the frame before, while it plays
let shownTick = -1;
let fitted = "";  // the window's size for which all is laid out

/** A picture from its address. */
async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

const [tiles, ...looks] = await Promise.all([episode.tiles, ...episode.looks.map(({ image }) => image)].map(load));
const picture = new Picture(at("picture"), episode, tiles, looks);
const charts = new Charts(at("charts"), episode, seek);
const marks = new Marks(at("marks"), episode, seek);
const isStill = window.matchMedia("(prefers-reduced-motion: reduce)");

// --- time --------------------------------------------------------------------------------------------------------

function tick() {
  return Math.floor(position);
}

function seek(n) {
  const wanted = Number(n);
  if (!Number.isFinite(wanted)) throw new RangeError(`a tick is a number in 0 … ${numTicks}, got ${n}`);
  position = Math.min(Math.max(wanted, 0), numTicks);
  show();
}

function isPlaying() {
  return lastTime !== null;
}

function play() {
  if (isPlaying() || numTicks === 0) return;
  if (position >= numTicks) seek(0);
  lastTime = performance.now();
  showPlaying();
  requestAnimationFrame(advance);
}

function pause() {
  lastTime = null;
  showPlaying();
}

/** One frame while it plays. */
function advance(time) {
  if (!isPlaying()) return;
  const seconds = Math.min(Math.max(time - lastTime, 0), 250) / 1000;  // a page in the background does not leap
  lastTime = Math.max(time, lastTime);
  position = Math.min(numTicks, position + seconds * episode.ticks_per_second * speed);
  if (position >= numTicks) pause();
  else requestAnimationFrame(advance);
  show();
}

function setSpeed(times) {
  const wanted = Number(times);
  if (!(Number.isFinite(wanted) && wanted > 0)) throw new RangeError(`a speed is a number above 0, got ${times}`);
  speed = wanted;
  at("speed").value = String(speed);
}

function step(ticks) {
  pause();
  seek(ticks < 0 ? Math.ceil(position) + ticks : tick() + ticks);
}

// --- what is shown -----------------------------------------------------------------------------------------------

function show() {
  picture.draw(isStill.matches ? tick() : position, at("xray").checked);
  charts.mark(position);
  if (tick() !== shownTick) showTick(tick());
}

function showPlaying() {
  at("play").classList.toggle("playing", isPlaying());
  at("play").setAttribute("aria-label", isPlaying() ? "Pause" : "Play");
}

/** Everything that changes once a tick. */
function showTick(n) {
  shownTick = n;
  const { speed: egoSpeed, completion, action, reward, terms, events, decision } = episode.ticks[n];
  at("counter").textContent = `${n} / ${numTicks}`;
  at("scrub").value = n;
  at("scrub").setAttribute("aria-valuetext", `tick ${n} of ${numTicks}`);
  at("scrub").style.setProperty("--passed", `${(100 * n) / Math.max(1, numTicks)}%`);
  at("ego-speed").textContent = signedWhole(egoSpeed);
  at("completion").textContent = `${Math.floor(100 * completion + 1e-6)} %`;
  at("action").textContent = action === null ? MISSING : episode.actions[action];
  at("reward").textContent = action === null ? MISSING : signed(reward);
  at("terms").tBodies[0].replaceChildren(...Object.entries(terms).map(([name, value]) => row(name, signed(value))));
  at("terms").hidden = Object.keys(terms).length === 0;
  at("happened").replaceChildren(...events.map((name) => {
    const item = element("li", ...event(name, episode));
    item.className = kindOf(name, episode);
    return item;
  }));
  showDecision(decision, n < numTicks ? episode.ticks[n + 1].action : null);
}

/** A line of a table: its name and what is said of it. */
function row(name, value) {
  const head = element("th", name.replaceAll("_", " "));
  head.scope = "row";
  return element("tr", head, element("td", value));
}

const decisions = episode.ticks.map((one) => one.decision).filter(Boolean);
const allValues = decisions.filter((one) => !one.is_probability).flatMap((one) => one.scores);
const lowest = Math.min(...allValues), highest = Math.max(...allValues);

/** The driver's scores as bars, with the action that it takes next. */
function showDecision(decision, chosen) {
  const bars = at("scores").children;
  episode.actions.forEach((name, action) => {
    const score = decision ? decision.scores[action] : 0;
    const isProbability = !decision || decision.is_probability;
    const share = isProbability ? score : (score - lowest) / (highest - lowest || 1);
    const isChosen = decision !== undefined && action === chosen;
    bars[action].classList.toggle("chosen", isChosen);
    bars[action].ariaLabel = `${name}${isChosen ? ", chosen" : ""}`;
    bars[action].querySelector("i").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
    const number = !decision ? MISSING : isProbability ? `${(100 * score).toFixed(1)} %` : signed(score);
    bars[action].querySelector(".number").textContent = number;
  });
  at("scale").textContent = !decision
    ? "It has nothing to decide here."
    : decision.is_probability
      ? "Probability of each action; ▸ is the one that it takes."
      : `Expected return of each action, bars from ${signed(lowest)} to ${signed(highest)}; ▸ is the one that it takes.`;
}

// --- layout ------------------------------------------------------------------------------------------------------

/** Lay out all for the window as it is: a tall picture stands beside the figures, a wide one above them. */
function fit() {
  const room = at("main").clientWidth, high = window.innerHeight;
  const now = `${room} ${high} ${window.devicePixelRatio}`;
  if (now === fitted) return;
  fitted = now;
  const isBeside = room >= 820 && picture.aspect < 1.6;
  at("main").className = isBeside ? "beside" : room >= 820 ? "above" : "";
  const above = at("main").getBoundingClientRect().top + window.scrollY;
  if (isBeside) picture.fit(room * 0.58, Math.max(280, high - above - 20));
  else picture.fit(room, Math.max(200, high * 0.56));
  const width = at("charts").clientWidth;
  charts.fit(width);
  marks.fit(width, (n) => charts.x(n));
  show();
}

// --- controls ----------------------------------------------------------------------------------------------------

function toggle() {
  if (isPlaying()) pause();
  else play();
}

function changeSpeed(steps) {
  const place = SPEEDS.findIndex((times) => times >= speed);
  setSpeed(SPEEDS[Math.min(Math.max((place < 0 ? SPEEDS.length : place) + steps, 0), SPEEDS.length - 1)]);
}

function toggleXray() {
  if (at("driver").hidden) return;
  at("xray").checked = !at("xray").checked;
  show();
}

const KEYS = {
  " ": toggle,
  ArrowLeft: (shift) => step(shift ? -10 : -1),
  ArrowRight: (shift) => step(shift ? 10 : 1),
  ArrowUp: () => changeSpeed(1),
  ArrowDown: () => changeSpeed(-1),
  Home: () => step(-numTicks - 1),
  End: () => step(numTicks),
  x: toggleXray,
  "?": () => at("help").showModal(),
};

document.addEventListener("keydown", (pressed) => {
  const key = pressed.key.length === 1 ? pressed.key.toLowerCase() : pressed.key;
  const target = pressed.target;
  const isOwn = target.matches("select") || (key === " " && target.matches("button, input[type=checkbox]"));
  if (!(key in KEYS) || isOwn || at("help").open || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
  pressed.preventDefault();
  KEYS[key](pressed.shiftKey);
});

at("play").addEventListener("click", toggle);
at("back").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("keys").addEventListener("click", () => at("help").showModal());
at("speed").addEventListener("change", () => setSpeed(at("speed").value));
at("scrub").addEventListener("input", () => seek(at("scrub").value));
at("xray").addEventListener("change", show);
window.addEventListener("hashchange", readAddress);
window.addEventListener("resize", fit);
new ResizeObserver(fit).observe(at("main"));

/** Go to the tick that the page's address names, as in #t=12. */
function readAddress() {
  const found = /^#t=(\d+)$/.exec(location.hash);
  if (found) seek(found[1]);
}

// --- what stays the same -----------------------------------------------------------------------------------------

at("scrub").max = numTicks;
at("play").disabled = numTicks === 0;
at("speed").append(...SPEEDS.map((times) => new Option(`${times}×`, times)));
setSpeed(1);
at("facts").querySelector("tbody").append(...episode.facts.map(([name, value]) => row(name, value)));
at("facts").hidden = episode.facts.length === 0;
at("driver").hidden = decisions.length === 0;
at("xray-label").hidden = decisions.every((decision) => decision.saliency.length === 0);
at("scores").append(...episode.actions.map((name) => {
  const parts = ["name", "bar", "number"].map((part) => Object.assign(element("span"), { className: part }));
  parts[0].textContent = name;
  parts[1].append(element("i"));
  return Object.assign(element("div", ...parts), { className: "row", role: "group" });
}));
const ending = episode.ticks[numTicks].events.filter((name) => kindOf(name, episode) !== "mild").join(", ");
at("summary").textContent = `${numTicks} ${numTicks === 1 ? "tick" : "ticks"}${ending ? `, ${ending}` : ""}`;
fit();
readAddress();
if (!location.hash && !isStill.matches) play();

window.drivesim = { numTicks, tick, seek, play, pause, isPlaying, setSpeed };
