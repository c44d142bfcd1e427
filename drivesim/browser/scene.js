// What stands and moves on the ground in one tick, as `drivesim.render.scene` and `drivesim.render.motion` tell it.
const MIDDLE = 0.4,
  SPACE = 0.97,
  BESIDE = 0.7,
  TRUCK_SPEED = 1,
  TELLS = 10,
  LEAN = 0.12,
  UNREACHABLE = 65535;
const ABSENT = 0,
  DRIVING = 1,
  CRASHED = 3,
  SIGNALS = 0;
const HEAD_ACROSS = 1.25,
  HEAD_BACK = 0.5,
  CELLS_OF_A_RING = 6;

/** What of a world pictures need, copied out of the heap. */
function readWorld(place) {
  const world = place.heads();
  world.egos = place.elements("egos", world.num_egos);
  world.vehicles = place.elements("vehicles", world.num_vehicles);
  world.people = place.elements("people", world.num_people);
  world.lamps = place.elements("lamps", place.layout.lengths.lamps);
  return world;
}

/** The name of a look, by which the page knows its picture. */
function lookName(kind, body = "EGO", brakes = false, indicator = 0, level = 0) {
  return [kind, body, Number(brakes), indicator, level].join(" ");
}

/** A piece that stands still, or moves by (down, right) and is bent at MIDDLE; as the page of a replay has it. */
function piece(look, row, col, more = {}) {
  return {
    look,
    row,
    col,
    turn: 0,
    down: 0,
    right: 0,
    row_bend: 0,
    col_bend: 0,
    turns: 0,
    leans: 0,
    last_look: -1,
    ...more,
  };
}

/** All pieces, the lowest first, and how the ego moves. */
function sceneOf(map, lines, after, before = null) {
  const moves = before !== null && before.tick + 1 === after.tick;
  const start = moves ? before : after;
  const ways = waysOf(map, start, after);
  const vehicles = vehiclesOf(map, start, after, ways, moves);
  const pieces = [
    ...(after.vehicles[0].status === DRIVING ? plannedRoute(map, after) : []),
    ...signalsOf(map, lines, start, after),
    ...peopleOf(map, start, after),
    ...vehicles,
  ];
  return { pieces, focus: { ...piece("", 0, 0), ...ways[0] } };
}

/** Rows and columns after which a map goes on with its other side, 0 = it does not. */
function periodsOf(map) {
  if (map.num_portals === 0) return [0, 0];
  const axes = [];
  for (let cell = 0; cell < map.cells; cell++) if (map.ground[cell] & PORTAL) axes.push(map.leads_to[cell] & 1);
  return [axes.every((axis) => axis === 1) ? 0 : map.rows, axes.includes(1) ? map.cols : 0];
}

/** Cells moved down and to the right; the shorter way, where a map goes on with its other side. */
function moved(map, periods, old, now) {
  const [from, to] = [placeOf(map, old), placeOf(map, now)];
  return [0, 1].map((axis) => {
    const move = to[axis] - from[axis],
      period = periods[axis],
      half = Math.floor(period / 2);
    return period ? modulo(move + half, period) - half : move;
  });
}

/** How every vehicle moves in the tick: the fields of a piece that say so. */
function waysOf(map, before, after) {
  const periods = periodsOf(map);
  const all = after.vehicles.map((vehicle, k) => {
    const old = before.vehicles[k],
      start = placeOf(map, old.cell),
      way = moved(map, periods, old.cell, vehicle.cell);
    const ahead = [ROW_STEPS[vehicle.heading], COL_STEPS[vehicle.heading]];
    const along = way[0] * ahead[0] + way[1] * ahead[1];
    const aside = [way[0] - along * ahead[0], way[1] - along * ahead[1]];
    return {
      start,
      way,
      ahead,
      aside,
      byMiddle: MIDDLE * along,
      drives: old.status === DRIVING && old.heading === vehicle.heading,
    };
  });
  if (all.some(({ aside }) => aside[0] || aside[1])) holdBack(all, periods);
  return all.map(({ start, way, ahead, aside, byMiddle }) => ({
    row: start[0],
    col: start[1],
    down: way[0],
    right: way[1],
    row_bend: aside[0] + byMiddle * ahead[0] - MIDDLE * way[0],
    col_bend: aside[1] + byMiddle * ahead[1] - MIDDLE * way[1],
  }));
}

/** Let nobody come closer than SPACE, by MIDDLE, to whom he follows. */
function holdBack(all, periods) {
  const allowances = all.map((one) =>
    all.map((other) => {
      const apart = [0, 1].map((axis) => {
        const distance = other.start[axis] - one.start[axis],
          period = periods[axis];
        return period ? distance - nearest(distance / period) * period : distance;
      });
      const across = [-one.ahead[1], one.ahead[0]];
      const distance = apart[0] * one.ahead[0] + apart[1] * one.ahead[1];
      const beside = apart[0] * across[0] + apart[1] * across[1];
      const then = beside + (other.aside[0] - one.aside[0]) * across[0] + (other.aside[1] - one.aside[1]) * across[1];
      const touches = Math.min(Math.abs(beside), Math.abs(then)) < BESIDE || beside * then < 0;
      const isParallel =
        one.ahead[0] === other.ahead[0] && one.ahead[1] === other.ahead[1] && one.drives && other.drives;
      return touches && isParallel && distance > 0.5 ? distance - SPACE : Infinity;
    }),
  );
  for (let round = 0; round < all.length; round++) {
    const held = all.map((one, k) => {
      const limit = allowances[k].reduce(
        (least, allowance, n) => Math.min(least, allowance + all[n].byMiddle),
        Infinity,
      );
      return Math.min(one.byMiddle, Math.max(limit, 0));
    });
    if (held.every((value, k) => value === all[k].byMiddle)) break;
    held.forEach((value, k) => (all[k].byMiddle = value));
  }
}

/** The nearest whole number, the even one of two; as NumPy rounds. */
function nearest(value) {
  const floor = Math.floor(value),
    rest = value - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

/** The heads of the signals: what they show while a tick goes on is what the drivers saw before it. */
function signalsOf(map, lines, before, after) {
  return lines
    .filter(([, , , number]) => map.controls[number] === SIGNALS)
    .map(([row, col, heading, number]) => {
      const axis = heading & 1 ? "colour_1" : "colour_0",
        across = (heading + 1) & 3,
        back = (heading + 2) & 3;
      const shown = before.lamps[number][axis],
        then = after.lamps[number][axis];
      return piece(
        lookName("signal", "EGO", false, 0, shown),
        row + HEAD_ACROSS * ROW_STEPS[across] + HEAD_BACK * ROW_STEPS[back],
        col + HEAD_ACROSS * COL_STEPS[across] + HEAD_BACK * COL_STEPS[back],
        { last_look: then !== shown ? lookName("signal", "EGO", false, 0, then) : -1 },
      );
    });
}

/** Everybody on foot. */
function peopleOf(map, before, after) {
  const periods = periodsOf(map),
    people = [];
  after.people.forEach((person, n) => {
    const old = before.people[n];
    if (!person.status || !old.status) return;
    const [down, right] = moved(map, periods, old.cell, person.cell),
      [row, col] = placeOf(map, old.cell);
    people.push(piece(lookName("pedestrian"), row, col, { down, right }));
  });
  return people;
}

/** All vehicles, the egos on top, over the wakes of all. */
function vehiclesOf(map, before, after, ways, moves) {
  const later = nextTurns(map, after),
    wakes = [],
    bodies = [];
  after.vehicles.forEach((vehicle, k) => {
    const { status, heading, speed, top_speed: topSpeed, acceleration, lane_shift: shift, turn_now: turn } = vehicle;
    const { status: was, heading: faced } = before.vehicles[k];
    if (was === ABSENT || status === ABSENT) return;
    const isEgo = k < after.num_egos,
      isParked = !isEgo && topSpeed === 0;
    const body = isEgo ? "EGO" : isParked ? "PARKED" : `TRAFFIC${k % 3}`;
    const kind = isEgo ? "ego" : isParked || topSpeed > TRUCK_SPEED ? "car" : "truck";
    const brakes = Math.abs(speed) < Math.abs(speed - acceleration);
    const turns = modulo(heading - faced + 2, 4) - 2;
    const moving = { ...ways[k], turn: faced, turns, leans: turns === 0 ? LEAN * shift : 0 };
    let look = lookName(kind, body, brakes, shift || turn || later[k]),
      last = -1;
    if (was === CRASHED || (status === CRASHED && !moves)) look = lookName("wreck", body);
    else if (status === CRASHED) last = lookName("wreck", body);
    else if (status === DRIVING && speed > 0) wakes.push(piece(lookName("wake", "EGO", false, 0, speed), 0, 0, moving));
    bodies.push(piece(look, 0, 0, { ...moving, last_look: last }));
  });
  return [...wakes, ...bodies.reverse()];
}

/** To which side each vehicle turns next: traffic tells where its way leads round a corner within TELLS cells. */
function nextTurns(map, world) {
  return world.vehicles.map(({ cell, heading, destination }, k) => {
    if (k < world.num_egos) return world.egos[k].next_turn;
    for (let n = 0; destination >= 0 && n <= TELLS; n++) {
      const way = (map.ways[destination * map.cells + cell] & 7) - 1;
      if (way < 0) return 0;
      if (way !== heading) return [0, 1, 0, -1][(way - heading) & 3];
      cell += map.steps[heading];
    }
    return 0;
  });
}

/** Signs along a shortest way from the ego to its goal; on a ring, along the lane ahead. */
function plannedRoute(map, world) {
  let { cell, heading } = world.vehicles[0];
  const signs = [],
    goal = world.egos[0].goal;
  const sign = (at, turn) => signs.push(piece(lookName("route"), ...placeOf(map, at), { turn }));
  if (map.isRing) {
    const [row, col] = placeOf(map, cell);
    for (let n = 1; n <= CELLS_OF_A_RING; n++) {
      const atRow = modulo(row + ROW_STEPS[heading] * n, map.rows),
        atCol = modulo(col + COL_STEPS[heading] * n, map.cols);
      signs.push(piece(lookName("route"), atRow, atCol, { turn: heading }));
    }
    return signs;
  }
  const distanceAt = (at, facing) => map.distances[distancesBegin(map, goal, facing) + at];
  let distance = distanceAt(cell, heading);
  while (distance > 0 && distance < UNREACHABLE) {
    let best = null;
    for (const [step, facing, turn] of movesOf(map, cell, heading)) {
      const at = cell + step,
        passing = map.num_passing ? map.passing[at] : 0;
      const isOpen = ((map.ground[at] | passing) >> facing) & 1;
      const left = distanceAt(at, facing),
        offset = map.half_lane ? Math.abs((map.lanes[at] & 15) - 8) : 0;
      if (left >= distance || !(isOpen || left === 0)) continue;
      if (!best || left < best.left || (left === best.left && offset < best.offset))
        best = { left, offset, at, facing, turn };
    }
    if (!best) return signs;
    [distance, cell, heading] = [best.left, best.at, best.facing];
    if (distance > 0) sign(cell, best.turn);
  }
  return signs;
}

/** The moves that lead on from a cell: the step to the next one, the heading then, the direction of the sign. */
function movesOf(map, cell, heading) {
  const turns = [],
    changes = [];
  for (const side of [1, -1]) {
    const across = (heading + side) & 3;
    if ((map.ground[cell] >> across) & 1) turns.push([map.steps[across], across, across]);
    else changes.push([map.steps[heading] + map.steps[across], heading, heading + side / 2]);
  }
  const ahead = [[map.steps[heading], heading, heading], ...turns];
  const back = map.has_reverse ? ahead.map(([step, facing]) => [-step, facing, facing + 2]) : [];
  return [ahead[0], ...changes, ...turns, ...back];
}
