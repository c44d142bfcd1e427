const BY_OPTIONS = 0,
  BY_LEVEL = 1,
  BY_LIBRARY = 2,
  BY_POOL = 3; // as in `drivesim.core.batch`
const TEST_SPLIT = 1n << 62n; // the first level of those that are held out
const DISABLED = 2; // who has ended an episode begins the next one
const NOT_MADE = new Error("no level can be made with these options");

/** The compiled kernels with the memory that they work on, and what the manifest says of both. */
class Kernels {
  constructor(instance, manifest) {
    this.exports = instance.exports;
    this.manifest = manifest;
    this.heap = new Heap(this.exports.memory, this.exports.__heap_base.value, manifest.records);
    const [list] = [this.exports["drivesim.bindings"].value];
    this.bindings = manifest.bindings.map((_, n) => this.heap.number("i4", list + 4 * n));
  }

  static async load(bytes, manifest) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Kernels(instance, manifest);
  }

  /** Call a loop; what it returns. */
  call(name, frame, ...numbers) {
    return this.exports[`core.${name}`](frame.address, ...numbers);
  }
}

/** One world of an environment: what `gym.make(id, …)` is in Python, step by step and byte by byte. */
class Engine {
  /**
   * @param kernels the compiled kernels.
   * @param environment what the manifest, or `customEnvironment`, says of it.
   * @param observation the name of one of its observations; its own, if none is given.
   */
  constructor(kernels, environment, observation = environment.observation) {
    this.kernels = kernels;
    this.environment = environment;
    this.observation = observation;
    this.heap = kernels.heap;
    this.rooms = [];
    const { map: mapLengths, world: worldLengths, maps_by: mapsBy, num_maps: numMaps } = environment;
    const { structures, records, scenarios } = kernels.manifest;
    this.mapLayout = layoutOf(this.heap, structures.Map, mapLengths);
    this.worldLayout = layoutOf(this.heap, structures.World, worldLengths);
    this.shown = environment.observations[observation];
    const numPool = mapsBy === BY_POOL ? 2 * numMaps : 1;
    const scratchLength = Math.max(4 * Math.max(worldLengths.occupants, this.shown.size), numPool);
    this.world = this.place(this.worldLayout);
    this.mapAt = this.room(this.mapLayout.size);
    this.laid = null; // the number of the pool's map that is there
    this.optionsAt = this.room(records.OPTIONS.size);
    this.heap.bytes(this.optionsAt, records.OPTIONS.size).set(environment.options);
    this.detailAt = this.room(records.DETAIL.size);
    this.outcomes = { reward: this.room(8), terminated: this.room(8), truncated: this.room(8) };
    this.inputs = { action: this.room(8), mask: this.room(8), level: this.room(8) };
    Object.assign(this.inputs, { order: this.room(8), beginning: this.room(8) });
    this.obsAt = this.room(this.shown.bytes);
    const scratch = this.room(4 * scratchLength),
      none = this.room(8);
    this.heap.view.setUint8(this.inputs.mask, 1);
    this.world.set({ episode: -1, scenario: environment.number });
    this.frame = new Frame(this.heap, kernels.manifest.frames.batch);
    const { lay, populate } = scenarios[environment.scenario],
      bound = (n) => kernels.bindings[n] ?? 0;
    this.frame.set({
      worlds: this.world,
      maps: { address: this.mapAt, layout: this.mapLayout },
      maps_by: mapsBy,
      num_maps: numMaps,
      options: this.optionsAt,
      lay: bound(lay),
      populate: bound(populate),
      encode: bound(this.shown.encode),
      autoreset: DISABLED,
      is_detailed: 1,
      mask: this.inputs.mask,
      level_seeds: this.inputs.level,
      actions: this.inputs.action,
      obs_out: [this.obsAt, this.shown.bytes],
      rewards_out: this.outcomes.reward,
      terminations_out: this.outcomes.terminated,
      truncations_out: this.outcomes.truncated,
      details_out: this.detailAt,
      final_obs_out: [none, 0],
      order: this.inputs.order,
      beginning: this.inputs.beginning,
      num_beginning: this.inputs.beginning,
      scratch: [scratch, 4 * scratchLength],
    });
    if (environment.library) {
      const { map, world } = environment.library;
      this.frame.set({
        library_maps: this.copied(map, this.mapLayout),
        library_worlds: this.copied(world, this.worldLayout),
        library_size: 1,
      });
    }
    if (mapsBy === BY_OPTIONS && !kernels.call("laying.lay_map", this.frame)) throw NOT_MADE;
  }

  /** Room of one's own in the heap. */
  room(bytes) {
    const address = this.heap.room(bytes);
    this.rooms.push([address, bytes]);
    return address;
  }

  place(layout, address = this.room(layout.size)) {
    return new Place(this.heap, layout, address);
  }

  copied(bytes, layout) {
    const place = this.place(layout);
    place.bytes.set(bytes);
    return place;
  }

  /** Give its memory back; it must not be used any more. */
  close() {
    this.rooms.splice(0).forEach(([address, bytes]) => this.heap.giveBack(address, bytes));
  }

  get actions() {
    return this.environment.actions;
  }

  /** The map of the world's level. */
  get map() {
    return this.place(this.mapLayout, this.mapAt);
  }

  get levelSeed() {
    const [offset] = this.worldLayout.structure.head.level_seed;
    return this.heap.view.getBigInt64(this.world.address + offset, true);
  }

  /** Which of the maps is a level's, as `drivesim.core.batch.map_number`. */
  mapNumber(levelSeed) {
    const { maps_by: mapsBy, num_maps: numMaps } = this.environment;
    if (mapsBy !== BY_POOL) return 0;
    return Number((levelSeed % TEST_SPLIT) % BigInt(numMaps)) + (levelSeed >= TEST_SPLIT ? numMaps : 0);
  }

  /** Begin episode 0 of a seed, on the level that it draws or on a given one; as `env.reset` in Python. */
  reset(seed, levelSeed = null) {
    const key = keyOf(seed),
      split = this.environment.split === "test" ? TEST_SPLIT : 0n;
    this.world.set({ key_0: key[0], key_1: key[1], episode: -1 });
    const level = levelSeed === null ? drawnLevel(key) + split : BigInt(levelSeed);
    if (this.environment.maps_by === BY_POOL) this.layPoolMap(this.mapNumber(level));
    this.heap.view.setBigInt64(this.inputs.level, BigInt(levelSeed ?? -1), true);
    if (this.kernels.call("batch.reset_worlds", this.frame, 0, 1, 0) !== 0) throw NOT_MADE;
    this.kernels.call("batch.describe_worlds", this.frame, 0, 1, 0);
    this.ticks = 0;
    this.isOver = false;
    return this.obs;
  }

  /** Lay a map of the pool: the only one that is kept, where the kernels look for the one with its number. */
  layPoolMap(number) {
    if (this.laid === number) return;
    this.blank ??= this.place(this.worldLayout);
    this.blank.bytes.fill(0);
    const address = this.mapAt - number * this.mapLayout.size;
    this.frame.set({ worlds: this.blank, maps: { address, layout: this.mapLayout } });
    const isLaid = this.kernels.call("laying.lay_pool", this.frame, number);
    this.frame.set({ worlds: this.world });
    if (!isLaid) throw NOT_MADE;
    this.laid = number;
  }

  /** Take an action; what came of it. */
  step(action) {
    const { view } = this.heap;
    view.setBigInt64(this.inputs.action, BigInt(action), true);
    if (this.kernels.call("batch.step_worlds", this.frame, 0, 1, 0) !== 0) throw NOT_MADE;
    this.ticks += 1;
    const terminated = view.getUint8(this.outcomes.terminated) !== 0;
    const truncated = view.getUint8(this.outcomes.truncated) !== 0 || this.ticks >= this.environment.max_steps;
    this.isOver = terminated || truncated;
    return { reward: view.getFloat64(this.outcomes.reward, true), terminated, truncated };
  }

  /** The observation as it is, the very bytes. */
  get obs() {
    return this.heap.bytes(this.obsAt, this.shown.bytes);
  }

  /** What else is told of the last tick: events, terms of the reward, open actions, the episode so far. */
  get detail() {
    return this.heap.element("DETAIL", this.detailAt);
  }

  /** A copy of the world as bytes, for `restore`. */
  get state() {
    return this.world.bytes.slice();
  }
}
