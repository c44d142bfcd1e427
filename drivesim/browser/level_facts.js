// What the head of a text says, as `drivesim.levels.reading.Facts` finds it.

/** What the head of a text says, key by key, with defaults for what it leaves out. */
class Facts {
  constructor(text, texts) {
    this.text = text;
    this.texts = texts;
    this.head = text.head;
  }

  has(name) {
    return Object.hasOwn(this.head, name);
  }

  value(name) {
    return this.has(name) ? this.head[name].value : keyNamed(name, this.texts).default;
  }

  fail(name, message) {
    return new LevelError(`${name} ${message}`, this.head[name].line, this.head[name].column);
  }

  count(who) {
    return this.text.tokens.filter((token) => token.who === who).length;
  }

  /** A list with as many numbers as there are of something. */
  numbers(name, count, what) {
    if (!this.has(name)) return Array(count).fill(this.value(name));
    const values = this.value(name);
    if (values.length !== count) throw this.fail(name, `has length ${values.length}; it needs ${count}, ${what}`);
    return values;
  }

  /** A list of `width` numbers for every one of something, each from 0 to below `high`. */
  groups(name, width, what, high) {
    const values = this.has(name) ? this.value(name) : [];
    if (values.length % width)
      throw this.fail(name, `has length ${values.length}; it needs ${width} for every ${what}`);
    values.forEach((value, n) => {
      if (!(value >= (n % width === 3 ? -8 : 0) && value < high[n % width])) {
        throw this.fail(name, `has the number ${value} where at most ${high[n % width] - 1} is allowed`);
      }
    });
    return values;
  }

  /** All that the kernel wants to know: the head's numbers, and the elements of the blocks. */
  record() {
    const { rows, cols, tokens, classes } = this.text,
      { keys, max_junctions: maxJunctions } = this.texts;
    const numEgos = this.count(AN_EGO),
      numPortals = tokens.filter((token) => token.is_portal).length;
    const portals = this.groups("portals", 3, "portal", [4, rows, cols]);
    if (this.has("portals") && portals.length !== 3 * numPortals) {
      throw this.fail("portals", `has length ${portals.length}; it needs ${3 * numPortals}, 3 for every \`@\``);
    }
    const lanes = this.groups("lanes", 4, "cell", [rows, cols, 16, 8]);
    const goals = tokens
      .reduce((bits, token) => bits | token.goals, 0n)
      .toString(2)
      .replace(/^0$/, "").length;
    const said = this.value("num_destinations"),
      numGoals = said === UNSAID ? goals : said;
    if (numGoals < goals) throw this.fail("num_destinations", `is ${said}, but the words name ${goals}`);
    const listed = (group, count, what) => {
      const lists = Object.keys(keys[group]).map((name) => [name, this.numbers(`${group}.${name}`, count, what)]);
      return Array.from({ length: count }, (_, n) => Object.fromEntries(lists.map(([name, list]) => [name, list[n]])));
    };
    const blocks = {
      tokens,
      portals,
      lanes,
      egos: listed("egos", numEgos, "one for every ego"),
      goals: listed("goals", numGoals, "one for every destination"),
      walkers: listed("walkers", this.count(A_WALKER), "one for every walker"),
      classes: Object.keys(classes).map((letters) =>
        Object.fromEntries(Object.keys(keys.class).map((name) => [name, this.value(`${letters}.${name}`)])),
      ),
      junctions: this.junctions(maxJunctions),
    };
    const implied = {
      has_ways:
        tokens.some((token) => token.junction !== UNSAID) || blocks.classes.some(({ destination }) => destination >= 0),
      has_goal_headings: blocks.goals.some(({ heading }) => heading >= 0),
    };
    const head = {
      rows,
      cols,
      num_egos: numEgos,
      num_destinations: numGoals,
      has_portals: Number(this.has("portals")),
      num_lanes: lanes.length / 4,
    };
    for (const name of ["speed_limit", "half_lane", "ring_rows", "ring_cols", "has_reverse", "is_mirrored"])
      head[name] = this.value(name);
    for (const [name, value] of Object.entries(implied)) {
      head[name] = this.value(name) === UNSAID ? Number(value) : this.value(name);
    }
    this.checkClasses();
    return { head, blocks };
  }

  /** What the head says of junctions. */
  junctions(count) {
    const facts = Array.from({ length: count }, () => ({
      control: UNSAID,
      ranks: Array(4).fill(UNSAID),
      green_0: UNSAID,
      green_1: UNSAID,
      yellow: UNSAID,
      all_red: UNSAID,
      cycle_start: 0,
    }));
    for (const name of Object.keys(this.head)) {
      const [group, fact] = name.split("."),
        match = JUNCTION_NAME.exec(group);
      if (!match) continue;
      const number = Number(match[1]);
      if (number > count) throw this.fail(name, `is of no junction; there may be ${count}`);
      const one = facts[number - 1];
      if (fact === "green") [one.green_0, one.green_1] = this.numbers(name, 2, "north-south and east-west");
      else if (fact === "ranks") one.ranks = this.numbers(name, 4, "one for every heading");
      else one[fact] = this.value(name);
    }
    return facts;
  }

  checkClasses() {
    const { classes } = this.text;
    for (const name of Object.keys(this.head)) {
      const [group, rest] = name.split("."),
        isClass = rest !== undefined && !["egos", "goals", "walkers"].includes(group);
      if (isClass && !JUNCTION_NAME.test(group) && !Object.hasOwn(classes, group)) {
        const names = Object.keys(classes)
          .map((letters) => `'${letters}'`)
          .join(", ");
        throw this.fail(name, `is of a class without vehicles; there are [${names}]`);
      }
    }
  }

  checkJunctions(numJunctions) {
    for (const name of Object.keys(this.head)) {
      const match = JUNCTION_NAME.exec(name.split(".")[0]);
      if (match && Number(match[1]) > numJunctions)
        throw this.fail(name, `is of no junction; the table has ${numJunctions}`);
    }
  }

  /** The options of the environment that the head gives. */
  options() {
    return Object.fromEntries(
      Object.keys(this.texts.keys.options)
        .filter((name) => this.has(name))
        .map((name) => [name, this.value(name)]),
    );
  }
}
