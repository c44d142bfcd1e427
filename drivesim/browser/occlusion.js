// What a driver would see if it did not see one thing, as `drivesim.occlusion`, and the cells that matter most, as
// `agents.watching.saliency`.
const ALONG = [5, 10, 5, 10],
  MIN_CHANGE = 0.01,
  MIN_WEIGHT = 0.05,
  MAX_CELLS = 40,
  NOTHING_THERE = 0;

/** A copy of an engine's world and map in which things can be hidden, one at a time. */
class Occlusions {
  constructor(engine) {
    const { heap, kernels, mapLayout, worldLayout, shown } = engine;
    Object.assign(this, { engine, heap, kernels, shown, undo: [] });
    this.map = engine.place(mapLayout);
    this.world = engine.place(worldLayout);
    this.obsAt = engine.room(shown.bytes);
    const scratchLength = 4 * Math.max(worldLayout.lengths.occupants, shown.size);
    this.scratch = engine.room(4 * scratchLength);
    this.frame = new Frame(heap, kernels.manifest.frames.batch);
    this.frame.set({
      worlds: this.world,
      maps: this.map,
      maps_by: BY_LEVEL,
      num_maps: 1,
      options: engine.optionsAt,
      encode: kernels.bindings[shown.encode],
      obs_out: [this.obsAt, shown.bytes],
      scratch: [this.scratch, 4 * scratchLength],
    });
    engine.rooms.push([this.frame.address, this.frame.type.words * WORD]);
  }

  /** For every cell on which something can be hidden: the cell, and the observation without it, until the next one. */
  *observations() {
    this.map.bytes.set(this.engine.map.bytes);
    this.world.bytes.set(this.engine.world.bytes);
    this.read = readMap(this.map);
    const world = readWorld(this.world),
      { ground } = this.read,
      moving = new Set();
    this.goal = world.egos[0].goal;
    world.vehicles.forEach(({ status, cell }) => status === DRIVING && moving.add(cell));
    world.people.forEach(({ status, cell }) => status !== NOTHING_THERE && moving.add(cell));
    const roads = this.roadsUnderObstacles();
    for (let cell = 0; cell < this.read.cells; cell++) {
      const isHidden = moving.has(cell) || roads.has(cell) || (!this.read.isRing && (ground[cell] & 15) !== 0);
      if (!isHidden || cell === world.vehicles[0].cell) continue;
      if (moving.has(cell)) this.takeAway(world, cell);
      else if (roads.has(cell)) this.openUp(cell, roads.get(cell));
      else this.makeVerge(cell);
      this.kernels.call("batch.observe_worlds", this.frame, 0, 1, 0);
      yield [cell, this.heap.bytes(this.obsAt, this.shown.bytes)];
      for (const [form, address, value] of this.undo.splice(0).reverse()) this.heap.writeNumber(form, address, value);
    }
  }

  /** Change a number until the observation has been made. */
  change(form, address, value) {
    this.undo.push([form, address, this.heap.number(form, address)]);
    this.heap.writeNumber(form, address, value);
  }

  /** Change an element of a block, or one of its fields. */
  set(place, block, n, value, field = null) {
    const form = place.layout.forms[block],
      at = place.at(block) + n * this.heap.sizeOf(form);
    if (field === null) this.change(form, at, value);
    else {
      const [offset, kind] = this.heap.records[form].fields[field];
      this.change(kind, at + offset, value);
    }
  }

  /** Remove whoever is on a cell with all that it has reserved. */
  takeAway(world, cell) {
    const occupants = this.world.block("occupants"),
      held = this.world.block("held");
    world.vehicles.forEach((vehicle, k) => {
      if (vehicle.status !== DRIVING || vehicle.cell !== cell) return;
      if (occupants[cell] === k + 1) this.set(this.world, "occupants", cell, 0);
      this.set(this.world, "vehicles", k, ABSENT, "status");
      this.set(this.world, "vehicles", k, 0, "may_enter");
      held.forEach((holder, slot) => holder === k + 1 && this.set(this.world, "held", slot, 0));
    });
    world.people.forEach((person, n) => {
      if (person.status !== NOTHING_THERE && person.cell === cell)
        this.set(this.world, "people", n, NOTHING_THERE, "status");
    });
  }

  /** Where the distances of a cell to the ego's goal stand, for every heading that has its own. */
  placesOfDistances(cell) {
    if (this.read.isRing) return [];
    const headings = this.read.has_goal_headings ? [0, 1, 2, 3] : [0];
    return headings.map((heading) => distancesBegin(this.read, this.goal, heading) + cell);
  }

  /** Make verge of a road's cell; the ego knows its route as before, but for a goal that is not to be seen. */
  makeVerge(cell) {
    this.set(this.map, "ground", cell, this.read.ground[cell] & PORTAL);
    for (const n of this.placesOfDistances(cell))
      this.set(this.map, "distances", n, Math.max(1, this.read.distances[n]));
  }

  /** Make road of an obstacle's cell, like that on another cell. */
  openUp(cell, road) {
    const { ground, lanes, distances } = this.read,
      bits = ground[road] & ~PORTAL;
    const isMarked = [CROSSWALK, STOP_LINE].includes(bits >> 4);
    this.set(this.map, "ground", cell, isMarked ? (bits & 15) | (LANE << 4) : bits);
    this.set(this.map, "lanes", cell, lanes[road]);
    const places = this.placesOfDistances(cell);
    if (!places.length) return;
    const goals = Array.from(ground, (_, at) => at).filter(
      (at) => at < this.read.cells && this.placesOfDistances(at).some((n) => distances[n] === 0),
    );
    goals.forEach((at, n) => this.heap.writeNumber("i4", this.scratch + 4 * n, at));
    this.kernels.call("laying.measure_map", this.frame, this.goal, goals.length);
    const measured = this.map.block("distances");
    new Uint8Array(this.heap.memory.buffer, this.map.at("distances"), distances.byteLength).set(
      new Uint8Array(distances.buffer),
    );
    for (const n of places) this.set(this.map, "distances", n, measured[n]);
  }

  /** For every obstacle's cell the nearest cell of road in whose direction it lies, if there is one. */
  roadsUnderObstacles() {
    const { ground, steps, cells } = this.read,
      found = new Map(),
      isObstacle = (cell) => ((ground[cell] >> 4) & 7) === OBSTACLE;
    for (let cell = 0; cell < cells; cell++) {
      if (!isObstacle(cell)) continue;
      const ways = new Map([0, 1, 2, 3].map((heading) => [heading, cell]));
      while (ways.size && !found.has(cell)) {
        for (const [heading, from] of [...ways]) {
          const to = from + steps[heading];
          ways.set(heading, to);
          if (isObstacle(to)) continue;
          ways.delete(heading);
          if (ground[to] & ALONG[heading] && !found.has(cell)) found.set(cell, to);
        }
      }
    }
    return found;
  }
}

/** The cells that matter most for a decision, [row, column, weight], the heaviest first. */
function saliencyOf(occlusions, trained, decision) {
  const { engine, shown } = occlusions,
    allowed = trained.allowed(engine);
  const chosen = (bytes) => trained.judge(bytes, shown.form, allowed).scores[decision.action];
  const changes = [];
  for (const [cell, obs] of occlusions.observations()) {
    changes.push([cell, Math.abs(chosen(obs) - decision.scores[decision.action])]);
  }
  const most = Math.max(0, ...changes.map(([, change]) => change));
  if (most < MIN_CHANGE) return [];
  const heaviest = changes.sort(([, one], [, other]) => other - one).slice(0, MAX_CELLS);
  return heaviest
    .filter(([, change]) => change / most >= MIN_WEIGHT)
    .map(([cell, change]) => [...placeOf(occlusions.read, cell), change / most]);
}
