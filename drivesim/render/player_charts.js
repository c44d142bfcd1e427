const MARGIN = 8;  // pixels from an end of the time line to its first or last tick: half the slider's thumb

/** The reward of every tick, the return so far and the driver's value, all over the same time line. */
class Charts {
  constructor(box, episode, seek) {
    this.box = box;
    this.ticks = episode.ticks;
    this.last = Math.max(1, this.ticks.length - 1);
    let sum = 0;
    this.returns = this.ticks.map((tick, n) => (n ? (sum += tick.reward) : 0));  // the first led to here from before
    this.values = this.ticks.map(({ decision }) => (decision ? decision.value : null));
    this.hasValues = this.values.some((value) => value !== null);
    this.rewards = this.addChart("reward", 58, "Reward of every tick", seek);
    this.lines = this.addChart("return", 76, "Return so far and value", seek);
    this.rewards.label.append("Reward of the tick ", this.rewardNow = element("b"), this.rewards.bounds);
    this.lines.label.append(element("span", legend("return"), "Return so far ", this.returnNow = element("b")));
    if (this.hasValues) {
      this.lines.label.append(element("span", legend("value"), "Value ", this.valueNow = element("b")));
    }
    this.lines.label.append(this.lines.bounds);
  }

  /** A chart with a line of text above it; a click on it goes to its tick. */
  addChart(name, height, label, seek) {
    const picture = drawn("svg", { height, role: "img", "aria-label": label });
    const chart = { label: element("p"), bounds: element("small"), picture, height };
    const figure = element("div", chart.label, chart.picture);
    figure.className = `chart ${name}`;
    this.box.append(figure);
    chart.picture.addEventListener("pointerdown", (event) => {
      if (event.button === 0) chart.picture.setPointerCapture(event.pointerId);
    });
    for (const type of ["pointerdown", "pointermove"]) {
      chart.picture.addEventListener(type, (event) => {
        if (event.buttons & 1) seek(Math.round(this.tickAt(event.clientX)));
      });
    }
    return chart;
  }

  /** Distance of a tick from the left end, in pixels. */
  x(n) {
    return MARGIN + (n / this.last) * (this.width - 2 * MARGIN);
  }

  /** The inverse of `x`, for a place in the window. */
  tickAt(clientX) {
    const part = (clientX - this.box.getBoundingClientRect().left - MARGIN) / (this.width - 2 * MARGIN);
    return Math.min(Math.max(part, 0), 1) * (this.ticks.length - 1);
  }

  /** Draw them for a time line of this many pixels. */
  fit(width) {
    this.width = width;
    this.drawRewards();
    this.drawLines();
    for (const chart of [this.rewards, this.lines]) {
      chart.cursor = drawn("line", { class: "cursor", y1: 0, y2: chart.height });
      chart.picture.append(chart.cursor);
    }
  }

  drawRewards() {
    const rewards = this.ticks.map((tick, n) => (n ? tick.reward : 0));
    const root = (value) => Math.sign(value) * Math.sqrt(Math.abs(value));
    const y = this.axis(this.rewards, rewards, root);
    this.rewards.bounds.append(", root scale");
    const wide = Math.max(1, Math.min(14, ((this.width - 2 * MARGIN) / this.last) * 0.7));
    rewards.forEach((reward, n) => {
      if (!reward) return;
      const height = Math.max(1, Math.abs(y(reward) - y(0)));
      const bar = drawn("rect", {
        class: reward > 0 ? "gain" : "loss", x: this.x(n) - wide / 2, y: reward > 0 ? y(0) - height : y(0),
        width: wide, height,
      });
      bar.append(drawn("title", {}, `tick ${n}: ${signed(reward)}`));
      this.rewards.picture.append(bar);
    });
  }

  drawLines() {
    const y = this.axis(this.lines, [...this.returns, ...this.values.filter((value) => value !== null)]);
    for (const [name, series] of [["return", this.returns], ["value", this.values]]) {
      let path = "", isBroken = true;
      series.forEach((value, n) => {
        if (value !== null) path += `${isBroken ? "M" : "L"}${this.x(n).toFixed(2)} ${y(value).toFixed(2)}`;
        isBroken = value === null;
      });
      if (path) this.lines.picture.append(drawn("path", { class: name, d: path }));
    }
  }

  /** Clear a chart, draw its zero line and bounds, and return the height at which a value is drawn. */
  axis(chart, values, scale = (value) => value) {
    chart.picture.setAttribute("viewBox", `0 0 ${this.width} ${chart.height}`);
    const low = Math.min(0, ...values), high = Math.max(low + 1e-6, 0, ...values), pad = 4;  // pixels
    const span = scale(high) - scale(low);
    chart.bounds.textContent = `${signed(low)} … ${signed(high)}`;
    const y = (value) => pad + ((scale(high) - scale(value)) / span) * (chart.height - 2 * pad);
    chart.picture.replaceChildren(
      drawn("line", { class: "axis", x1: 0, x2: this.width, y1: y(0), y2: y(0) }),
    );
    return y;
  }

  /** Show which tick it is. */
  mark(position) {
    for (const chart of [this.rewards, this.lines]) {
      chart.cursor.setAttribute("x1", this.x(position));
      chart.cursor.setAttribute("x2", this.x(position));
    }
    const n = Math.floor(position);
    this.rewardNow.textContent = n ? signed(this.ticks[n].reward) : MISSING;
    this.returnNow.textContent = signed(this.returns[n]);
    if (this.hasValues) this.valueNow.textContent = this.values[n] === null ? MISSING : signed(this.values[n]);
  }
}

/** Buttons above the time line, one for every event, that go to their tick. */
class Marks {
  constructor(box, episode, seek) {
    this.box = box;
    this.marks = [];
    episode.ticks.forEach((tick, n) => tick.events.forEach((name) => {
      const button = element("button", ...event(name, episode));
      button.type = "button";
      button.className = kindOf(name, episode);
      button.title = button.ariaLabel = `${name}, tick ${n}`;
      button.addEventListener("click", () => seek(n));
      this.marks.push({ button, n });
      box.append(button);
    }));
  }

  /** Put every name where there is room for it, in one of three lines; where there is none, only its shape, in one more. */
  fit(width, x) {
    const numLines = 3, mostLines = 12, height = 25;
    const taken = Array.from({ length: numLines }, () => []);
    const isMild = ({ button }) => button.className.includes("mild");
    for (const { button, n } of [...this.marks].sort((one, other) => isMild(one) - isMild(other))) {
      let line, left, right;
      for (const isBrief of [false, true]) {
        button.classList.toggle("brief", isBrief);
        left = Math.max(0, Math.min(x(n) - button.offsetWidth / 2, width - button.offsetWidth));
        right = left + button.offsetWidth + 3;
        line = taken.findIndex((spans) => spans.every(([start, end]) => right <= start || end <= left));
        if (line >= 0) break;
      }
      if (line < 0 && taken.length < mostLines) line = taken.push([]) - 1;
      line = Math.max(line, 0);  // the shapes of hundreds of events lie over each other
      taken[line].push([left, right]);
      button.style.left = `${left}px`;
      button.style.top = `${line * height}px`;
    }
    this.box.style.height = `${taken.filter((spans) => spans.length).length * height}px`;
  }
}

/** How much an event matters: the class of whatever shows it. */
function kindOf(name, episode) {
  if (episode.good_events.includes(name)) return "good";
  return episode.grave_events.includes(name) ? "grave" : "mild";
}

/** The shape and the name of an event. */
function event(name, episode) {
  const shapes = { good: "M5 0 10 5 5 10 0 5z", grave: "M5 .5 10 9.5H0z", mild: "M5 1a4 4 0 1 0 .01 0z" };
  const shape = drawn("svg", { class: "shape", viewBox: "0 0 10 10", "aria-hidden": "true" });
  shape.append(drawn("path", { d: shapes[kindOf(name, episode)] }));
  const text = element("span", name);
  text.className = "name";
  return [shape, text];
}

/** A sample of a line in a chart. */
function legend(name) {
  const sample = drawn("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
  sample.append(drawn("path", { class: name, d: "M0 4H22" }));
  return sample;
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function drawn(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

/** Stands where there is no value. */
const MISSING = "–";

/** A whole number with a minus sign if it is negative. */
function signedWhole(value) {
  return String(value).replace("-", "−");
}

/** A number with its sign and at most three digits after the point. */
function signed(value) {
  const text = Math.abs(value).toFixed(3).replace(/\.?0+$/, "");
  if (text === "0" && value) return value > 0 ? "< 0.001" : "> −0.001";
  return (value < 0 ? "−" : value > 0 ? "+" : "") + text;
}
