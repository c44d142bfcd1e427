// What there is to choose on the page: where to drive, and who drives.
const SPEEDS = [0.25, 0.5, 1, 2, 4];
const DIFFICULTIES = ["easy", "medium", "hard"];
const GALLERY = "gallery/"; // what names of drawn levels begin with
const DRAWN = "drawn"; // the road that was drawn on the page
const YOU = "you"; // at the wheel; behind it, other drivers
const RULES = "rules";
const LAST = "last";
const NOBODY = "";
const EASY = "Obstacles"; // the road on which the page opens
const KEPT_CHOICE = "drivesim choice"; // where the browser keeps what is chosen while the page is closed
const LAST_LEVEL = 999999;

/** Whether a list has an option. */
function has(list, wanted) {
  return [...list.options].some(({ value }) => value === wanted);
}

/** What is chosen, and what can be. */
class Choice {
  constructor(data, kernels, builder) {
    this.data = data;
    this.kernels = kernels;
    this.builder = builder;
    this.lastActions = new Map(); // of your drives, by level
    this.drawn = null; // the text of the level that was drawn here
    this.seed = 0;
    this.fill();
    this.restore();
  }

  fill() {
    const { roads, gallery } = this.kernels.manifest;
    const own = roads.filter(({ environments }) => Object.keys(environments).length);
    const group = (label, options) => {
      const found = document.createElement("optgroup");
      found.label = label;
      found.append(...options);
      return found;
    };
    at("road").append(
      group(
        "New levels without end",
        own.map(({ name, summary }) => new Option(`${name}: ${summary}`, name)),
      ),
      group(
        "Drawn levels",
        Object.keys(gallery).map((name) => new Option(name.slice(GALLERY.length).replaceAll("_", " "), name)),
      ),
    );
    at("road").value = own.some(({ name }) => name === EASY) ? EASY : own[0].name;
    at("difficulty").append(
      ...DIFFICULTIES.map((name) => {
        const input = Object.assign(document.createElement("input"), {
          type: "radio",
          name: "difficulty",
          value: name,
          checked: name === "easy",
        });
        return element("label", input, element("span", name));
      }),
    );
    at("speed").append(...SPEEDS.map((times) => new Option(`${times}×`, times, times === 1, times === 1)));
  }

  /** Let the browser keep what is chosen. */
  keep() {
    const { road, difficulty, seed, drawn } = this,
      chosen = { road, difficulty, seed, drawn, driver: at("driver").value, rival: at("rival").value };
    browserKeeps((store) => store.setItem(KEPT_CHOICE, JSON.stringify(chosen)));
  }

  /** Choose what the browser has kept, as far as this page has it: it may be that of another one, or anything. */
  restore() {
    const kept = browserKeeps((store) => JSON.parse(store.getItem(KEPT_CHOICE))) ?? {},
      { value: usual } = at("road");
    if (kept.road === DRAWN && typeof kept.drawn === "string") this.addDrawn(kept.drawn);
    if (has(at("road"), kept.road)) at("road").value = kept.road;
    try {
      this.environment();
    } catch {
      at("road").value = usual; // that drawing cannot be driven here
    }
    for (const input of document.querySelectorAll("input[name=difficulty]"))
      if (input.value === kept.difficulty) input.checked = true;
    if (Number.isInteger(kept.seed) && kept.seed >= 0 && kept.seed <= LAST_LEVEL) this.seed = kept.seed;
    for (const id of ["driver", "rival"]) {
      const { [id]: name } = kept;
      if (typeof name === "string") at(id).replaceChildren(new Option(name, name)); // `fillDrivers` knows who there is
    }
  }

  /** Put the level that was drawn among the roads. */
  addDrawn(text) {
    this.drawn = text;
    if (!has(at("road"), DRAWN)) at("road").append(new Option("Your drawing", DRAWN));
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

  /** The environment of the road that is chosen. */
  environment() {
    if (this.road === DRAWN) return this.builder.environment(this.drawn);
    if (this.isDrawn) return this.builder.environment(this.kernels.manifest.gallery[this.road]);
    return this.kernels.manifest.roads.find(({ name }) => name === this.road).environments[this.difficulty];
  }

  get rulesName() {
    return `${this.road} ${this.difficulty}`;
  }

  get scenario() {
    return this.isDrawn ? "Custom" : this.road;
  }

  /** A new rule-based driver for this level, or its drive as it was recorded; null if the page has neither. */
  rules(actions) {
    const form = this.data.ruled[this.scenario];
    if (form) return actions.includes("IDLE") ? new Ruled(form) : null; // the rules know it
    const digits = this.data.rules[this.rulesName]?.[this.seed];
    return digits === undefined ? null : new Recorded([...digits].map(Number), actions);
  }

  /** The drivers for an environment: names and what they are called. */
  drivers({ actions }) {
    const trained = this.data.drivers.filter((one) => one.scenario === this.scenario);
    return [
      ...(this.rules(actions) ? [[RULES, "the rule-based driver"]] : []),
      ...trained.map((one) => [one.name, `${one.name}, trained`]),
    ];
  }

  fillDrivers(environment) {
    const hasRules = this.rules(environment.actions) !== null,
      others = this.drivers(environment),
      last = this.lastActions.has(this.levelName) ? [[LAST, "your last drive"]] : [];
    for (const [id, first, more] of [
      ["driver", [YOU, "you"], []],
      ["rival", [NOBODY, "nobody"], last],
    ]) {
      const before = at(id).value,
        options = [first, ...others, ...more];
      at(id).replaceChildren(...options.map(([value, label]) => new Option(label, value)));
      at(id).value = options.some(([value]) => value === before) ? before : first[0];
    }
    const { length } = this.data.rules[this.rulesName] ?? [];
    at("who-note").textContent = this.isDrawn
      ? "The rule-based driver follows the route and brakes; around what stands in its lane it does not steer, nor does it park."
      : hasRules || !length
        ? ""
        : `The rule-based driver drives levels 0 to ${length - 1} here.`;
  }

  /** A new driver of that name; null for nobody. */
  driverNamed(name, environment) {
    if (name === NOBODY) return null;
    if (name === YOU) return new Human(environment.actions);
    if (name === RULES) return this.rules(environment.actions);
    if (name === LAST) return new Recorded(this.lastActions.get(this.levelName), environment.actions);
    return new Trained(this.data.drivers.find((one) => one.name === name));
  }
}
