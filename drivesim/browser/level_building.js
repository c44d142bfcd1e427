// From a text that was taken apart to a level, as `drivesim.levels.building`: the kernel builds and certifies it, and
// an environment to drive it in is made.
const BEFORE_PLANE = 4,
  NUM_PLANES = 5,
  CYCLE_IS_FULL = 13; // as in `drivesim.core.cycles` and `drivesim.core.certificate`

/** How long the blocks of a map are; as `drivesim.core.map.map_dtype`. */
function mapLengths(rows, cols, { junctions, destinations, hasPortals, hasWays, hasPassing, hasGoalHeadings }) {
  const cells = (rows + 2) * (cols + 2),
    where = (has) => (has ? cells : 0);
  return {
    steps: 4,
    junctions,
    goals: destinations,
    leads_to: where(hasPortals),
    comes_from: where(hasPortals),
    distances: destinations * cells * (hasGoalHeadings ? 4 : 1),
    slots: where(junctions),
    ground: cells + WORD,
    lanes: cells,
    ways: destinations * where(hasWays),
    stays: destinations * where(hasWays),
    passing: where(hasPassing),
    junction: where(junctions),
    open_road: where(junctions),
  };
}

/** How long the blocks of a world are; as `drivesim.core.world.world_dtype`. */
function worldLengths(rows, cols, { vehicles, egos, people, junctions, slots }) {
  return { egos, vehicles, people, lamps: junctions, held: slots, occupants: (rows + 2) * (cols + 2) + WORD };
}

/** Builds and certifies levels from texts. */
class Builder {
  constructor(kernels) {
    this.kernels = kernels;
    this.heap = kernels.heap;
    this.manifest = kernels.manifest;
    this.texts = kernels.manifest.texts;
  }

  /** The environment in which the level of a text is driven: `gym.make("drivesim/Custom-v1", levels=text)`. */
  environment(text) {
    this.rooms = [];
    try {
      return this.make(text);
    } finally {
      this.rooms.forEach(([address, bytes]) => this.heap.giveBack(address, bytes));
    }
  }

  room(bytes) {
    const address = this.heap.room(bytes);
    this.rooms.push([address, bytes]);
    return address;
  }

  place(name, lengths) {
    const layout = layoutOf(this.heap, this.manifest.structures[name], lengths);
    return new Place(this.heap, layout, this.room(layout.size));
  }

  make(text) {
    const split = splitText(text, this.texts),
      facts = new Facts(split, this.texts),
      record = facts.record();
    const { rows, cols, tokens } = split,
      { head } = record,
      some = (test) => tokens.some(test);
    const junctions = some(({ junction }) => junction !== UNSAID) ? this.texts.max_junctions : 0;
    const egos = head.num_egos,
      vehicles = egos + facts.count(A_VEHICLE),
      people = facts.count(A_WALKER);
    const map = this.place(
      "Map",
      mapLengths(rows, cols, {
        junctions,
        destinations: head.num_destinations,
        hasPortals: some((token) => token.is_portal),
        hasWays: head.has_ways,
        hasPassing: some((token) => token.is_passing),
        hasGoalHeadings: head.has_goal_headings,
      }),
    );
    const slots = junctions ? this.texts.max_slots : 0;
    const world = this.place("World", worldLengths(rows, cols, { vehicles, egos, people, junctions, slots }));
    this.build(split, record, map, world);
    facts.checkJunctions(map.head("num_junctions"));
    const [tightMap, tightWorld] = this.tight(map, world),
      options = facts.options();
    this.certify(split, tightMap, tightWorld, options, egos);
    return this.described(text, facts, tightMap, tightWorld, options);
  }

  /** Let the kernel build the level into a blank map and world. */
  build(split, { head, blocks }, map, world) {
    const { rows, cols } = split;
    const text = this.place(
      "Text",
      Object.fromEntries(Object.entries(blocks).map(([name, { length }]) => [name, length])),
    );
    text.set(head);
    for (const [name, elements] of Object.entries(blocks)) {
      const form = text.layout.forms[name],
        record = this.manifest.records[form],
        size = this.heap.sizeOf(form);
      elements.forEach((element, n) => {
        const at = text.at(name) + n * size,
          said = (field) => [field, element[field]];
        if (!record) this.heap.writeNumber(form, at, element);
        else this.heap.writeFields(record.fields, at, Object.fromEntries(Object.keys(record.fields).map(said)));
      });
    }
    const fault = this.room(12),
      frame = this.frame("building");
    frame.set({
      texts: text,
      maps: map,
      worlds: world,
      scratch: this.room(16 * (rows + 2) * (cols + 2)),
      fault_out: fault,
    });
    if (this.kernels.call("levels.build_level", frame) !== 0) {
      const [number, line, column] = [0, 4, 8].map((offset) => this.heap.number("i4", fault + offset));
      const token = split.tokens.findIndex((one) => one.line === line && one.column === column);
      const word = split.words[Math.floor(token / cols)][token % cols];
      throw new LevelError(this.texts.faults[number].replaceAll("{word}", word), line, column);
    }
  }

  frame(name) {
    const frame = new Frame(this.heap, this.manifest.frames[name]);
    this.rooms.push([frame.address, frame.type.words * WORD]);
    return frame;
  }

  /** Copies of a map and a world of the least size. */
  tight(map, world) {
    const m = map.heads(),
      w = world.heads();
    const lengths = mapLengths(m.rows, m.cols, {
      junctions: m.num_junctions,
      destinations: m.num_destinations,
      hasPortals: m.num_portals > 0,
      hasWays: m.has_ways,
      hasPassing: m.num_passing > 0,
      hasGoalHeadings: m.has_goal_headings,
    });
    const others = worldLengths(m.rows, m.cols, {
      vehicles: w.num_vehicles,
      egos: w.num_egos,
      people: w.num_people,
      junctions: m.num_junctions,
      slots: m.num_slots,
    });
    return [
      [map, this.place("Map", lengths)],
      [world, this.place("World", others)],
    ].map(([from, to]) => {
      to.bytes.set(from.bytes.subarray(0, from.layout.headSize));
      for (const [name, form] of from.layout.structure.blocks) {
        const bytes = this.heap.sizeOf(form) * Math.min(from.layout.lengths[name], to.layout.lengths[name]);
        this.heap.bytes(to.at(name), bytes).set(this.heap.bytes(from.at(name), bytes));
      }
      return to;
    });
  }

  /** Refuse a level in which traffic could collide or stand for ever, or the ego not arrive. */
  certify(split, map, world, options, numEgos) {
    const begun = [map, world].map((from) => {
      const to = new Place(this.heap, from.layout, this.room(from.layout.size));
      to.bytes.set(from.bytes);
      return to;
    });
    const cells = map.layout.lengths.ground,
      scratch = this.room(8 * NUM_PLANES * cells);
    const building = this.frame("building"),
      frame = this.frame("certificate"),
      { OPTIONS: type } = this.manifest.records;
    building.set({ maps: begun[0], worlds: begun[1] });
    this.kernels.call("levels.begin_level", building);
    const optionsAt = this.room(type.size);
    const model = options.traffic ?? this.manifest.custom.driver_models.krauss;
    this.heap.writeFields(type.fields, optionsAt, { driver_model: model, num_egos: numEgos });
    frame.set({ maps: begun[0], worlds: begun[1], options: optionsAt, scratch });
    const answer = this.kernels.call("refusals.certify_level", frame, 0),
      m = map.heads();
    let reason = answer % 256,
      cell = Math.floor(answer / 256),
      text = this.texts.reasons[reason];
    if (reason) text = this.inWords(text, reason, cell, m, scratch);
    else if (!(m.ring_rows + m.ring_cols > 0)) {
      const lost = begun[1].elements("egos", numEgos).findIndex(({ remaining }) => remaining === UNREACHABLE);
      if (lost < 0) return;
      text = "no way leads from here to the ego's goal";
      cell = begun[1].elements("vehicles", numEgos)[lost].cell;
    } else return;
    const [row, col] = placeOf(m, cell),
      { line, column } = split.tokens[row * m.cols + col];
    throw new LevelError(`this may not be driven: ${text}`, line, column);
  }

  /** The certificate's answer in words, with cells and cycles as (row, col). */
  inWords(text, reason, cell, map, scratch) {
    const shown = (one) => `(${placeOf(map, one).join(", ")})`,
      cycle = reason === CYCLE_IS_FULL ? [cell] : [];
    const before = (one) => this.heap.number("i8", scratch + 8 * (BEFORE_PLANE * (map.rows + 2) * map.width + one));
    while (cycle.length && before(cycle.at(-1)) !== cell) cycle.push(before(cycle.at(-1)));
    return text
      .replace("{cell}", shown(cell))
      .replace("{storage}", cycle.length)
      .replace("{cycle}", `[${cycle.reverse().map(shown).join(", ")}]`);
  }

  /** The environment of a level, as the manifest describes others. */
  described(text, facts, map, world, given) {
    const { certain, dawdles, base } = this.manifest.custom,
      { OPTIONS: type } = this.manifest.records;
    if (facts.count(AN_EGO) !== 1)
      throw new LevelError(`one car is driven here, \`E0\`; there are ${facts.count(AN_EGO)}`, 1, 1);
    const options = this.room(type.size),
      [rows, cols] = [facts.text.rows, facts.text.cols];
    const own = this.heap.element("OPTIONS", this.copied(base.options)),
      hasIdle = given.has_idle !== 0;
    this.heap.bytes(options, type.size).set(base.options);
    const dawdle = given.dawdle ?? own.dawdle,
      isChosen = given.is_dawdle_chosen === 1;
    const values = {
      rows,
      cols,
      dawdle,
      has_idle: Number(hasIdle),
      top_speed: given.top_speed ?? own.top_speed,
      driver_model: given.traffic ?? own.driver_model,
      max_steps: given.max_steps ?? 0,
      certified_within: given.max_steps ?? base.max_steps,
      more_dawdle: dawdles.map((share) => (isChosen ? 0 : nearest((dawdle / certain) * (share - 1) * certain))),
    };
    this.heap.writeFields(type.fields, options, values);
    const observations = structuredClone(base.observations),
      whole = observations.full_grid;
    Object.assign(whole, { shape: [rows, cols], size: rows * cols, bytes: rows * cols });
    return {
      ...base,
      kwargs: { levels: text.includes("\n") ? text : `${text}\n` },
      observations,
      map: map.layout.lengths,
      world: world.layout.lengths,
      actions: hasIdle ? base.actions : base.actions.filter((name) => name !== "IDLE"),
      options: this.heap.bytes(options, type.size).slice(),
      library: { map: map.bytes.slice(), world: world.bytes.slice() },
    };
  }

  copied(bytes) {
    const address = this.room(bytes.length);
    this.heap.bytes(address, bytes.length).set(bytes);
    return address;
  }
}
