const HOW = "↑ faster, ↓ slower, ← → change lane or turn. Follow the arrows to the chequered cells.";
const LOW = 260, // CSS pixels: of a lower picture the sign would cover much, so it stands below, where there is room
  SIGN = 112; // for it
const TASKS = "You are the yellow car: drive to the chequered cells.";
const NOT_SAVED = "Python drives it again, and compares every bit.";
const KEYS_OF_ACTIONS = {
  ArrowLeft: "LEFT",
  a: "LEFT",
  ArrowRight: "RIGHT",
  d: "RIGHT",
  ArrowUp: "FASTER",
  w: "FASTER",
  ArrowDown: "SLOWER",
  s: "SLOWER",
};

/** The part of the page on which one drives and watches. */
class DrivePage {
  constructor(data, kernels, stage) {
    this.kernels = kernels;
    this.builder = new Builder(kernels);
    this.choice = new Choice(data, kernels, this.builder);
    this.stage = stage;
    this.game = new Game(kernels, stage, () => this.showNow());
    this.listen();
  }

  // --- drives -----------------------------------------------------------------------------------------------------

  /** Begin anew with what is chosen. */
  begin() {
    this.remember();
    at("save-note").textContent = NOT_SAVED;
    at("difficulty").hidden = this.choice.isDrawn;
    at("seed").value = this.choice.seed;
    at("trouble").hidden = true;
    let environment;
    try {
      environment = this.choice.environment();
      this.choice.fillDrivers(environment);
      this.start(environment);
    } catch (error) {
      at("trouble").hidden = false;
      at("trouble").textContent = `This level cannot be driven: ${error.message}`;
      return;
    }
    this.choice.keep();
    this.showTask();
    at("scores").replaceChildren(...environment.actions.map(scoreRow));
    at("mind").hidden = !this.mind;
    this.fit();
    this.showNow();
  }

  /** Begin a drive in an environment, and that of the rival. */
  start(environment) {
    const [driver, rival] = ["driver", "rival"].map((id) => this.choice.driverNamed(at(id).value, environment));
    this.human = driver instanceof Human ? driver : null;
    this.game.begin(environment, this.choice.seed, driver, rival);
  }

  /** Keep what you have driven, to race against it. */
  remember() {
    const { drive } = this.game;
    if (drive && this.game.isHuman && drive.ticks && this.name)
      this.choice.lastActions.set(this.name, drive.record.actions);
    this.name = this.choice.levelName;
  }

  /** The drive whose driver tells what it thinks, if there is one. */
  get mind() {
    return [this.game.drive, this.game.rival].find((drive) => drive?.driver instanceof Trained) ?? null;
  }

  go(step) {
    this.choice.seed = Math.min(Math.max(this.choice.seed + step, 0), LAST_LEVEL);
    this.begin();
  }

  /** Drive a level that was drawn. */
  driveText(text) {
    this.choice.addDrawn(text);
    this.choice.lastActions.clear();
    at("road").value = DRAWN;
    this.choice.seed = 0;
    this.begin();
    this.bringIntoView();
  }

  // --- what is shown ----------------------------------------------------------------------------------------------

  showTask() {
    const road = this.kernels.manifest.roads.find(({ name }) => name === this.choice.road);
    at("task").textContent = `${TASKS}${road ? ` ${road.name}: ${road.summary}.` : ""}`;
  }

  showNow() {
    const { drive, rival, isPlaying, count } = this.game;
    if (!drive) return;
    const ego = drive.world.vehicles[0],
      { max_steps: limit } = this.game.environment,
      own = drive.engine.timeLimit;
    at("counter").textContent = `${drive.ticks} / ${own || limit}`;
    at("play").classList.toggle("playing", isPlaying);
    at("play").setAttribute("aria-label", isPlaying ? "Pause" : "Start");
    at("ego-speed").textContent = signedWhole(ego.speed);
    at("completion").textContent = `${Math.floor(100 * drive.completion + 1e-6)} %`;
    const action = drive.record.actions.at(-1);
    at("action").textContent = action === undefined ? MISSING : drive.engine.actions[action];
    at("return").textContent = signed(drive.record.outcome.return);
    at("happened").replaceChildren(
      ...drive.log
        .slice(-6)
        .reverse()
        .map(([tick, { label, kind }]) => {
          const item = element(
            "li",
            ...event(label, {
              good_events: kind === "good" ? [label] : [],
              grave_events: kind === "grave" ? [label] : [],
            }),
          );
          item.append(` ${tick}`);
          item.className = kind;
          return item;
        }),
    );
    at("digest").textContent = drive.record.digest;
    at("count").textContent = count > 0 ? Math.ceil(count) : "";
    this.showBanner();
    const mind = this.mind;
    if (mind) showScores(mind.decision, mind.engine.actions);
    if (rival?.isOver && drive.isOver) at("count").textContent = "";
  }

  /** The sign over the picture: how to begin, what is awaited, or how it went. */
  showBanner() {
    const { drive, rival, isPlaying, isHuman } = this.game,
      touch = matchMedia("(pointer: coarse)").matches;
    let title = "",
      text = "";
    if (drive.isOver && !(isPlaying && !isHuman)) {
      const { success, return: sum, length } = drive.record.outcome;
      title = success ? "Arrived!" : `${drive.ending[0].toUpperCase()}${drive.ending.slice(1)}`;
      text =
        `${length} ticks, return ${signed(sum)}. ${rival ? `The other: ${this.rivalText()}. ` : ""}` +
        (touch ? "Tap for the next level." : "Enter: next level. R: again. V: download the replay.");
    } else if (!isPlaying && drive.ticks === 0) {
      title = isHuman ? (touch ? "Tap to drive" : "Press ↑ to drive") : touch ? "Tap to watch" : "Press space to watch";
      const waits = isHuman && this.human.waits ? "Time waits for your keys. " : "";
      text = isHuman ? `${waits}${HOW}` : "";
    }
    at("banner").hidden = !title;
    at("banner-title").textContent = title;
    at("banner-text").textContent = text;
  }

  rivalText() {
    const { rival } = this.game;
    while (!rival.isOver && rival.step());
    const { success, return: sum, length } = rival.record.outcome;
    return `${success ? "arrived" : rival.ending} after ${length} ticks, return ${signed(sum)}`;
  }

  /** Lay all out for the window as it is. */
  fit() {
    if (at("drive").hidden || !this.stage.picture) return;
    const room = at("drive").clientWidth,
      high = window.innerHeight,
      isBeside = room >= 820 || (room >= 600 && high < 500); // the latter on a phone that lies
    at("drive").className = isBeside ? "beside" : "";
    const above = at("stage").getBoundingClientRect().top + window.scrollY,
      pad = at("pad").offsetHeight;
    const height = Math.max(220, high - above - pad - 24);
    this.stage.fit(isBeside ? room * 0.62 : room, isBeside ? height : Math.min(height, high * 0.6));
    const shown = at("picture").offsetHeight;
    at("frame").classList.toggle("low", shown < LOW && above + shown + SIGN + pad < high);
    this.game.draw(this.game.share);
  }

  /** Bring the picture into view after a choice that was made below it, as on a phone. */
  bringIntoView() {
    const { top, bottom } = at("frame").getBoundingClientRect();
    if (top < 0 || bottom > window.innerHeight)
      at("stage").scrollIntoView({ behavior: STILL.matches ? "instant" : "smooth", block: "start" });
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

  /** A wish of whoever drives by hand: the first one starts the countdown, and a second one ends it. */
  wish(name) {
    if (!this.human) return;
    if (this.game.isPlaying) this.game.count = 0;
    else if (!this.game.drive.isOver) this.game.play();
    this.human.wish(name);
    this.showNow();
  }

  save() {
    const { record, engine } = this.game.drive,
      id = engine.environment.id.split("/").at(-1);
    download(`${id}-${record.seed}-0.json`, record.toJson());
    at("save-note").textContent = "Saved. `drivesim record` films it.";
  }

  toggleXray() {
    if (!this.mind) at("who-note").textContent = "The x-ray shows what a trained driver looks at, and none drives here.";
    at("xray").checked = !at("xray").checked && Boolean(this.mind);
    this.game.setXray(at("xray").checked);
  }

  listen() {
    at("road").addEventListener("change", () => {
      this.choice.seed = 0;
    });
    for (const id of ["road", "difficulty", "driver", "rival"]) {
      at(id).addEventListener("change", () => {
        this.begin();
        this.bringIntoView();
      });
    }
    at("seed").addEventListener("change", () => {
      this.choice.seed = Math.floor(Number(at("seed").value)) || 0;
      this.go(0);
    });
    at("level-back").addEventListener("click", () => this.go(-1));
    at("level-next").addEventListener("click", () => this.go(1));
    at("play").addEventListener("click", () => this.toggle());
    at("step").addEventListener("click", () => this.game.stepOnce());
    at("again").addEventListener("click", () => this.begin());
    at("save").addEventListener("click", () => this.save());
    at("keys").addEventListener("click", () => at("help").showModal());
    at("speed").addEventListener("change", () => {
      this.game.speed = Number(at("speed").value);
    });
    at("xray").addEventListener("click", (click) => {
      click.preventDefault();
      setTimeout(() => this.toggleXray());
    });
    at("banner").addEventListener("click", () => (this.game.drive.isOver ? this.go(1) : this.toggle()));
    for (const button of at("pad").children) {
      const name = button.dataset.action,
        let_go = () => this.human?.held.delete(name);
      button.addEventListener("pointerdown", (press) => {
        press.preventDefault();
        this.wish(name);
        this.human?.held.add(name);
      });
      for (const type of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(type, let_go);
      button.addEventListener("click", ({ detail }) => {
        if (detail === 0) this.wish(name);
      });
    }
    // Whoever chooses by the mouse goes on by keys: they are for the car again.
    let isByMouse = false;
    document.addEventListener("pointerdown", () => (isByMouse = true), true);
    document.addEventListener("keydown", () => (isByMouse = false), true);
    for (const type of ["change", "click"]) {
      at("drive").addEventListener(type, ({ target, detail }) => {
        if (isByMouse && !target.matches("input[type=number]") && !(type === "click" && target.matches("select")))
          target.closest("button, select, input")?.blur();
      });
    }
    document.addEventListener("keydown", (pressed) => this.press(pressed));
    document.addEventListener("keyup", ({ key }) =>
      this.human?.held.delete(KEYS_OF_ACTIONS[key.length === 1 ? key.toLowerCase() : key]),
    );
    window.addEventListener("blur", () => this.human?.held.clear());
  }

  press(pressed) {
    const key = pressed.key.length === 1 ? pressed.key.toLowerCase() : pressed.key,
      { target } = pressed;
    if (at("drive").hidden || at("help").open || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
    if (target.matches("select, input") && ["Enter", "Escape"].includes(key)) {
      target.blur();
      return;
    }
    if (
      target.matches("select, input:not([type=checkbox])") ||
      ([" ", "Enter"].includes(key) && target.matches("button, input"))
    )
      return;
    const keys = {
      " ": () => this.toggle(),
      n: () => this.game.stepOnce(),
      Enter: () => this.go(1),
      r: () => this.begin(),
      "+": () => this.changeSpeed(1),
      "=": () => this.changeSpeed(1),
      "-": () => this.changeSpeed(-1),
      v: () => this.save(),
      x: () => this.toggleXray(),
      m: () => at("road").focus(),
      "?": () => at("help").showModal(),
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
