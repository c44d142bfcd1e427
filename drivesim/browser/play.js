const SPEEDS = [0.25, 0.5, 1, 2, 4], DIFFICULTIES = ["easy", "medium", "hard"], GALLERY = "gallery/", DRAWN = "drawn";
const YOU = "you", RULES = "rules", LAST = "last", NOBODY = "";
const TASKS = "You are the yellow car: drive to the chequered cells.";
const KEYS_OF_ACTIONS = {
  ArrowLeft: "LEFT", a: "LEFT", ArrowRight: "RIGHT", d: "RIGHT", ArrowUp: "FASTER", w: "FASTER", ArrowDown: "SLOWER", s: "SLOWER",
};
const at = (id) => document.getElementById(id);

/** The part of the page on which one drives and watches. */
class DrivePage {
  constructor(data, kernels, stage) {
    this.data = data;
    this.kernels = kernels;
    this.builder = new Builder(kernels);
    this.stage = stage;
    this.game = new Game(kernels, stage, () => this.showNow());
    this.lastActions = new Map();  // of your drives, by level
    this.seed = 0;
    this.choose();
    this.listen();
  }

  // --- what there is to choose ------------------------------------------------------------------------------------

  choose() {
    const { roads, gallery } = this.kernels.manifest;
    const own = roads.filter(({ environments }) => Object.keys(environments).length);
    this.easy = own.find(({ name }) => name === "Obstacles") ?? own[0];
    const group = (label, options) => {
      const found = document.createElement("optgroup");
      found.label = label;
      found.append(...options);
      return found;
    };
    at("road").append(
      group("New levels without end", own.map(({ name, summary }) => new Option(`${name}: ${summary}`, name))),
      group("Drawn levels", Object.keys(gallery).map((name) => new Option(name.slice(GALLERY.length).replaceAll("_", " "), name))),
    );
    at("road").value = this.easy.name;
    at("difficulty").append(...DIFFICULTIES.map((name) => {
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "difficulty", value: name, checked: name === "easy" });
      return element("label", input, element("span", name));
    }));
    at("speed").append(...SPEEDS.map((times) => new Option(`${times}×`, times, times === 1, times === 1)));
  }

  get road() {
    return at("road").value;
  }

  get difficulty() {
    return document.querySelector("input[name=difficulty]:checked").value;
  }

  get isDrawn() {
    return this.road === DRAWN || this.road.startsWith(GALLERY);
  }

  /** What tells one level from another. */
  get levelName() {
    return `${this.road} ${this.isDrawn ? "" : this.difficulty} ${this.seed}`;
  }

  environment() {
    if (this.road === DRAWN) return this.builder.environment(this.drawn);
    if (this.isDrawn) return this.builder.environment(this.kernels.manifest.gallery[this.road]);
    return this.kernels.manifest.roads.find(({ name }) => name === this.road).environments[this.difficulty];
  }

  get rulesName() {
    return this.isDrawn ? this.road : `${this.road} ${this.difficulty}`;
  }

  /** The actions of the rule-based driver on this level, if they are in the page. */
  get rules() {
    const digits = this.data.rules[this.rulesName]?.[this.seed];
    return digits === undefined ? null : [...digits].map(Number);
  }

  /** The drivers for this road: names and what they are called. */
  drivers() {
    const trained = this.data.drivers.filter((one) => one.scenario === (this.isDrawn ? "Custom" : this.road));
    return [
      ...(this.rules ? [[RULES, "the rule-based driver"]] : []),
      ...trained.map((one) => [one.name, `${one.name}, trained`]),
    ];
  }

  fillDrivers() {
    const others = this.drivers(), last = this.lastActions.has(this.levelName) ? [[LAST, "your last drive"]] : [];
    for (const [id, first, more] of [["driver", [YOU, "you"], []], ["rival", [NOBODY, "nobody"], last]]) {
      const before = at(id).value, options = [first, ...others, ...more];
      at(id).replaceChildren(...options.map(([value, label]) => new Option(label, value)));
      at(id).value = options.some(([value]) => value === before) ? before : first[0];
    }
    const { length } = this.data.rules[this.rulesName] ?? [];
    at("who-note").textContent = this.rules || !length ? "" : `The rule-based driver drives levels 0 to ${length - 1} here.`;
  }

  driverNamed(name, environment) {
    if (name === YOU) return (this.human = new Human(environment.actions));
    if (name === RULES) return new Recorded(this.rules, environment.actions);
    if (name === LAST) return new Recorded(this.lastActions.get(this.levelName), environment.actions);
    return new Trained(this.data.drivers.find((one) => one.name === name));
  }

  // --- drives -----------------------------------------------------------------------------------------------------

  /** Begin anew with what is chosen. */
  begin() {
    this.remember();
    this.fillDrivers();
    at("level").hidden = at("difficulty").hidden = false;
    at("difficulty").hidden = this.isDrawn;
    at("seed").value = this.seed;
    const environment = this.environment(), rival = at("rival").value;
    this.human = null;
    const driver = this.driverNamed(at("driver").value, environment);
    this.game.begin(environment, this.seed, driver, rival === NOBODY ? null : this.driverNamed(rival, environment));
    this.isWelcome = true;
    this.showTask();
    at("scores").replaceChildren(...environment.actions.map(scoreRow));
    at("mind").hidden = !this.mind;
    this.fit();
    this.showNow();
  }

  /** Keep what you have driven, to race against it. */
  remember() {
    const { drive } = this.game;
    if (drive && this.game.isHuman && drive.ticks && this.name) this.lastActions.set(this.name, drive.record.actions);
    this.name = this.levelName;
  }

  /** The drive whose driver tells what it thinks, if there is one. */
  get mind() {
    return [this.game.drive, this.game.rival].find((drive) => drive?.driver instanceof Trained) ?? null;
  }

  go(step) {
    this.seed = Math.min(Math.max(this.seed + step, 0), 999999);
    this.begin();
  }

  /** Drive a level that was drawn. */
  driveText(text) {
    this.drawn = text;
    if (![...at("road").options].some(({ value }) => value === DRAWN)) at("road").append(new Option("Your drawing", DRAWN));
    at("road").value = DRAWN;
    this.seed = 0;
    this.begin();
  }

  // --- what is shown ----------------------------------------------------------------------------------------------

  showTask() {
    const road = this.kernels.manifest.roads.find(({ name }) => name === this.road);
    at("task").textContent = `${TASKS}${road ? ` ${road.name}: ${road.summary}.` : ""}`;
  }

  showNow() {
    const { drive, rival, isPlaying, count } = this.game;
    if (!drive) return;
    const ego = drive.world.vehicles[0], { max_steps: limit } = this.game.environment, own = drive.engine.timeLimit;
    at("counter").textContent = `${drive.ticks} / ${own || limit}`;
    at("play").classList.toggle("playing", isPlaying);
    at("play").setAttribute("aria-label", isPlaying ? "Pause" : "Start");
    at("ego-speed").textContent = ego.speed;
    at("completion").textContent = `${Math.floor(100 * drive.completion + 1e-6)} %`;
    const action = drive.record.actions.at(-1);
    at("action").textContent = action === undefined ? "–" : drive.engine.actions[action];
    at("return").textContent = signed(drive.record.outcome.return);
    at("happened").replaceChildren(...drive.log.slice(-6).reverse().map(([tick, { label, kind }]) => {
      const item = element("li", ...event(label, { good_events: kind === "good" ? [label] : [], grave_events: kind === "grave" ? [label] : [] }));
      item.append(` ${tick}`);
      item.className = kind;
      return item;
    }));
    at("digest").textContent = drive.record.digest;
    at("count").textContent = count > 0 ? Math.ceil(count) : "";
    this.showBanner();
    const mind = this.mind;
    if (mind) showScores(mind.decision, mind.engine.actions);
    if (rival?.isOver && drive.isOver) at("count").textContent = "";
  }

  /** The sign over the picture: how to begin, what is awaited, or how it went. */
  showBanner() {
    const { drive, rival, isPlaying, isHuman } = this.game, touch = matchMedia("(pointer: coarse)").matches;
    let title = "", text = "";
    if (drive.isOver && !(isPlaying && !isHuman)) {
      const { success, return: sum, length } = drive.record.outcome;
      title = success ? "Arrived!" : `${drive.ending[0].toUpperCase()}${drive.ending.slice(1)}`;
      text = `${length} ticks, return ${sum.toFixed(2)}. ${rival ? `The other: ${this.rivalText()}. ` : ""}`
        + (touch ? "Tap for the next level." : "Enter: next level. R: again. V: download the replay.");
    } else if (!isPlaying && drive.ticks === 0) {
      title = isHuman ? (touch ? "Tap to drive" : "Press ↑ to drive") : touch ? "Tap to watch" : "Press space to watch";
      text = isHuman ? "↑ faster, ↓ slower, ← → change lane or turn. Follow the arrows to the chequered cells." : "";
    } else if (isPlaying && isHuman && this.human.waits && this.game.count === 0 && this.game.share >= 1) {
      title = "Your move";
      text = "Time stands still until you press a key.";
    }
    at("banner").hidden = !title;
    at("banner-title").textContent = title;
    at("banner-text").textContent = text;
  }

  rivalText() {
    const { rival } = this.game;
    while (!rival.isOver && rival.step());
    const { success, return: sum, length } = rival.record.outcome;
    return `${success ? "arrived" : rival.ending} after ${length} ticks, return ${sum.toFixed(2)}`;
  }

  /** Lay all out for the window as it is. */
  fit() {
    if (at("drive").hidden || !this.stage.picture) return;
    const room = at("drive").clientWidth, high = window.innerHeight, isBeside = room >= 820;
    at("drive").className = isBeside ? "beside" : "";
    const above = at("stage").getBoundingClientRect().top + window.scrollY, pad = at("pad").offsetHeight;
    const height = Math.max(220, high - above - pad - 24);
    this.stage.fit(isBeside ? room * 0.62 : room, isBeside ? height : Math.min(height, high * 0.6));
    this.game.draw(this.game.share);
  }

  // --- controls ---------------------------------------------------------------------------------------------------

  toggle() {
    if (this.game.isPlaying) this.game.pause();
    else if (this.game.isOver) this.begin();
    else this.game.play();
    this.showNow();
  }

  changeSpeed(steps) {
    const place = Math.min(Math.max(SPEEDS.indexOf(this.game.speed) + steps, 0), SPEEDS.length - 1);
    this.game.speed = SPEEDS[place];
    at("speed").value = this.game.speed;
  }

  /** A wish of whoever drives by hand; the first one starts the clock. */
  wish(name) {
    if (!this.human) return;
    if (!this.game.isPlaying && !this.game.drive.isOver) this.game.play();
    if (this.game.count === 0) this.human.wish(name);
  }

  save() {
    const { record, engine } = this.game.drive, id = engine.environment.id.split("/").at(-1);
    download(`${id}-${record.seed}-0.json`, record.toJson());
    at("save-note").textContent = "Saved. In Python, scripts/record.py films it.";
  }

  toggleXray() {
    at("xray").checked = !at("xray").checked && Boolean(this.mind);
    this.game.setXray(at("xray").checked);
  }

  listen() {
    at("road").addEventListener("change", () => { this.seed = 0; this.begin(); });
    at("difficulty").addEventListener("change", () => this.begin());
    for (const id of ["driver", "rival"]) at(id).addEventListener("change", () => this.begin());
    at("seed").addEventListener("change", () => { this.seed = Math.floor(Number(at("seed").value)) || 0; this.go(0); });
    at("level-back").addEventListener("click", () => this.go(-1));
    at("level-next").addEventListener("click", () => this.go(1));
    at("play").addEventListener("click", () => this.toggle());
    at("step").addEventListener("click", () => this.game.stepOnce());
    at("again").addEventListener("click", () => this.begin());
    at("save").addEventListener("click", () => this.save());
    at("keys").addEventListener("click", () => at("help").showModal());
    at("speed").addEventListener("change", () => { this.game.speed = Number(at("speed").value); });
    at("xray").addEventListener("click", (click) => { click.preventDefault(); setTimeout(() => this.toggleXray()); });
    at("banner").addEventListener("click", () => (this.game.drive.isOver ? this.go(1) : this.toggle()));
    for (const button of at("pad").children) {
      const name = button.dataset.action, let_go = () => this.human?.held.delete(name);
      button.addEventListener("pointerdown", (press) => {
        press.preventDefault();
        this.wish(name);
        this.human?.held.add(name);
      });
      for (const type of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(type, let_go);
      button.addEventListener("click", ({ detail }) => { if (detail === 0) this.wish(name); });
    }
    document.addEventListener("keydown", (pressed) => this.press(pressed));
    document.addEventListener("keyup", ({ key }) => this.human?.held.delete(KEYS_OF_ACTIONS[key.length === 1 ? key.toLowerCase() : key]));
    window.addEventListener("blur", () => this.human?.held.clear());
  }

  press(pressed) {
    const key = pressed.key.length === 1 ? pressed.key.toLowerCase() : pressed.key, { target } = pressed;
    if (at("drive").hidden || at("help").open || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
    if (target.matches("select, input:not([type=checkbox])") || ([" ", "Enter"].includes(key) && target.matches("button, input"))) return;
    const keys = {
      " ": () => this.toggle(), n: () => this.game.stepOnce(), Enter: () => this.go(1), r: () => this.begin(),
      "+": () => this.changeSpeed(1), "=": () => this.changeSpeed(1), "-": () => this.changeSpeed(-1), v: () => this.save(),
      x: () => this.toggleXray(), m: () => at("road").focus(), "?": () => at("help").showModal(),
    };
    const action = KEYS_OF_ACTIONS[key];
    if (!action && !(key in keys)) return;
    pressed.preventDefault();
    if (!action) keys[key]();
    else if (!pressed.repeat) {
      this.wish(action);
      this.human?.held.add(action);
    }
  }
}

/** The row of an action among the driver's scores. */
function scoreRow(name) {
  const parts = ["name", "bar", "number"].map((part) => Object.assign(element("span"), { className: part }));
  parts[0].textContent = name;
  parts[1].append(element("i"));
  return Object.assign(element("div", ...parts), { className: "row", role: "group", ariaLabel: name });
}

/** A driver's scores as bars, with the action that it takes next. */
function showScores(decision, names) {
  const scores = decision?.scores ?? names.map(() => 0), low = Math.min(...scores), high = Math.max(...scores);
  names.forEach((name, action) => {
    const row = at("scores").children[action], score = scores[action], isChosen = decision?.action === action;
    const share = decision?.is_probability ? score : (score - low) / (high - low || 1);
    row.classList.toggle("chosen", isChosen);
    row.ariaLabel = `${name}${isChosen ? ", chosen" : ""}`;
    row.querySelector("i").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
    row.querySelector(".number").textContent = !decision ? "–" : decision.is_probability ? `${(100 * score).toFixed(1)} %` : signed(score);
  });
  at("scale").textContent = !decision ? "It has nothing to decide here."
    : decision.is_probability ? "Probability of each action; ▸ is the one that it takes." : "Expected return of each action; ▸ is the one that it takes.";
}

/** Give a file to whoever looks at the page. */
function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
