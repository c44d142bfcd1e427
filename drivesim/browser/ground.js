// The look of the ground, as `drivesim.render.ground` and `drivesim.render.view` find it.
const OFF_ROAD = 0,
  LANE = 1,
  SHOULDER = 2,
  OBSTACLE = 3,
  CROSSWALK = 4,
  STOP_LINE = 5,
  PARKING_BAY = 6,
  GOAL = 7;
const PORTAL = 128,
  SEVERAL_HEADINGS = 4,
  EVERY_HEADING = 5;
const ROW_STEPS = [-1, 0, 1, 0],
  COL_STEPS = [0, 1, 0, -1]; // of the headings north, east, south, west
const HEADING_OF_MASK = [4, 0, 1, 4, 2, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 5];
const FACTS = { kind: 3, heading: 3, halves: 8, corners: 4, lines: 8, obstacle: 2, joined: 4, middle: 2, verge: 3 };
const WHOLE = 32,
  WINDOW_ROWS = 24,
  WINDOW_COLS = 40,
  FEWEST = 12,
  EGO_ROW = 0.7,
  EGO_COL = 0.35;

/** What of a map pictures need, copied out of the heap. */
function readMap(place) {
  const map = place.heads();
  for (const name of ["steps", "ground", "lanes", "junction", "distances", "ways", "passing", "leads_to"])
    map[name] = place.block(name);
  map.goals = place.elements("goals", Math.max(1, map.num_destinations));
  map.controls = place.elements("junctions", map.num_junctions, ["control"]).map(({ control }) => control);
  map.cells = (map.rows + 2) * map.width;
  map.isRing = map.ring_rows + map.ring_cols > 0;
  return map;
}

/** Row and column of a cell. */
function placeOf(map, cell) {
  return [Math.floor(cell / map.width) - 1, (cell % map.width) - 1];
}

/** Where in `map.distances` those to a goal begin, for an ego of this heading. */
function distancesBegin(map, goal, heading) {
  return (map.has_goal_headings ? 4 * goal + heading : goal) * map.cells;
}

/** The range of rows or columns that is ever shown of a side. */
function extentOf(cells, window, isRing, ego) {
  if (isRing)
    return { cells, ego, shown: Math.min(window, cells - (cells % 2)), first: 0, count: cells, period: cells };
  if (cells > Math.max(WHOLE, window)) return { cells, ego, shown: window, first: 0, count: cells, period: 0 };
  const shown = Math.max(FEWEST, cells + (cells % 2));
  return { cells, ego, shown, first: -Math.floor((shown - cells) / 2), count: shown, period: 0 };
}

/** The rows and columns that are ever shown of a map. */
function extentsOf(map) {
  return {
    rows: extentOf(map.rows, WINDOW_ROWS, map.ring_rows > 0, EGO_ROW),
    cols: extentOf(map.cols, WINDOW_COLS, map.ring_cols > 0, EGO_COL),
  };
}

/** The packed facts of every cell that can come into view, and which rows and columns those are. */
function groundOf(map, goal, { rows, cols } = extentsOf(map)) {
  const cells = cellsAround(map, goal, rows, cols);
  const goalHeading = map.has_goal_headings ? map.goals[goal].heading : 0;
  const numbers = [];
  for (let i = 1; i <= rows.count; i++) {
    for (let j = 1; j <= cols.count; j++) numbers.push(packed(factsOf(cells, map, i, j, goalHeading)));
  }
  return { rows, cols, numbers };
}

/** The cells that can come into view and one more on every side, as `at(i, j)`. */
function cellsAround(map, goal, rows, cols) {
  const bitsAt = (row, col) => {
    const cell = (row + 1) * map.width + col + 1,
      bits = map.ground[cell] & ~PORTAL;
    const layers = map.has_goal_headings ? [0, 1, 2, 3] : [0];
    const isGoal =
      !map.isRing && layers.some((heading) => map.distances[distancesBegin(map, goal, heading) + cell] === 0);
    return isGoal ? (bits & 15) | (GOAL << 4) : bits;
  };
  const isObstacle = (row, col) => bitsAt(row, col) >> 4 === OBSTACLE;
  const [down, right] = map.rows >= map.cols ? [1, 0] : [0, 1];
  const under = (row, col) => {
    // under an obstacle lies what lies in the next free row or column behind it
    while (isObstacle(row, col) && (down ? row < map.rows - 1 : col < map.cols - 1))
      [row, col] = [row + down, col + right];
    return bitsAt(row, col);
  };
  const around = ({ first, count, period }) =>
    Array.from({ length: count + 2 }, (_, n) => (period ? modulo(first - 1 + n, period) : first - 1 + n));
  const atRows = around(rows),
    atCols = around(cols);
  const found = atRows.map((row) =>
    atCols.map((col) => {
      const atRow = Math.min(Math.max(row, 0), map.rows - 1),
        atCol = Math.min(Math.max(col, 0), map.cols - 1);
      const bits = under(atRow, atCol),
        heading = HEADING_OF_MASK[bits & 15];
      const beyondRow = row !== atRow,
        beyondCol = col !== atCol,
        isOutside = beyondRow || beyondCol;
      let kind = bits >> 4;
      const runsOn = !(beyondRow && beyondCol) && heading < SEVERAL_HEADINGS && (heading & 1) === (beyondRow ? 0 : 1);
      if (isOutside && !runsOn) kind = OFF_ROAD;
      else if (isOutside && kind !== SHOULDER && kind !== OFF_ROAD) kind = LANE;
      const lane = map.lanes[(atRow + 1) * map.width + atCol + 1];
      return {
        row,
        col,
        kind,
        heading,
        lane: lane >> 4,
        offset: (lane & 15) - 8,
        obstacle: !isOutside && isObstacle(atRow, atCol) ? 1 : 0,
        road: kind !== OFF_ROAD ? 1 : 0,
      };
    }),
  );
  return (i, j) => found[i][j];
}

/** What the tile of a cell shows. */
function factsOf(at, map, i, j, goalHeading) {
  const cell = at(i, j),
    { kind, row, col } = cell;
  let { heading } = cell;
  const sides = [at(i - 1, j), at(i, j + 1), at(i + 1, j), at(i, j - 1)];
  const joined = cell.obstacle ? sides.reduce((bits, side, n) => bits | (side.obstacle << n), 0) : 0;
  const isParked = cell.obstacle && joined === 0 && heading < SEVERAL_HEADINGS;
  const isLane = kind === LANE && heading < SEVERAL_HEADINGS;
  let middle = 0;
  if (map.half_lane > 0) middle = isLane && cell.offset === 0 ? 1 : 0;
  else if (isLane && modulo((heading & 1) === 0 ? row : col, 8) === 4) middle = 2;
  if (goalHeading > 0 && kind === GOAL) [middle, heading] = [2, goalHeading - 1];
  const needsHeading = middle || isParked || kind === STOP_LINE || kind === CROSSWALK;
  const lines = [line(sides[0], cell, 1), line(cell, sides[1], 0), line(cell, sides[2], 1), line(sides[3], cell, 0)];
  return {
    kind,
    ...edgesOf(at, i, j),
    heading: needsHeading || (heading === EVERY_HEADING && kind === LANE) ? heading : 0,
    lines: lines.reduce((bits, one, n) => bits | (one << (2 * n)), 0),
    obstacle: isParked ? 2 : cell.obstacle,
    joined,
    middle,
    verge: cell.road ? 0 : vergeOf(at, i, j),
  };
}

/** Where road and verge meet. */
function edgesOf(at, i, j) {
  const count = (m, n) => at(m, n).road + at(m, n + 1).road + at(m + 1, n).road + at(m + 1, n + 1).road;
  const counts = [count(i - 1, j - 1), count(i - 1, j), count(i, j), count(i, j - 1)]; // north-west, clockwise
  const neighbours = [at(i - 1, j), at(i, j + 1), at(i + 1, j), at(i, j - 1)];
  const { road } = at(i, j);
  let halves = 0,
    corners = 0;
  for (let n = 0; n < 4; n++) {
    if (counts[n] === (road ? 1 : 3)) corners |= 1 << n;
    [n, (n + 1) % 4].forEach((corner, half) => {
      if (neighbours[n].road !== road && counts[corner] === 2) halves |= 1 << (2 * n + half);
    });
  }
  return { halves, corners };
}

/** The line between two cells; `across` is the heading, north or east, along which it would run. */
function line(first, second, across) {
  const isAlong = [first, second].every(
    ({ heading, kind }) => (heading & 1) === across && heading < SEVERAL_HEADINGS && kind !== OFF_ROAD && kind !== GOAL,
  );
  if (!isAlong) return 0;
  if (first.heading !== second.heading) return 3;
  if ((first.kind === SHOULDER) !== (second.kind === SHOULDER)) return 2;
  return first.lane !== second.lane ? 1 : 0;
}

/** Decoration of verge: fixed to the map; bushes keep off the road. */
function vergeOf(at, i, j) {
  const { row, col } = at(i, j);
  let noise = (Math.imul(row, 73856093) + Math.imul(col, 19349663)) >>> 0;
  noise = Math.imul(noise ^ (noise >>> 15), 0x2c1b3c6d) >>> 0;
  noise = Math.imul(noise ^ (noise >>> 12), 0x297a2d39) >>> 0;
  noise = (noise ^ (noise >>> 15)) & 63;
  let isNear = false;
  for (let m = -1; m <= 1; m++) for (let n = -1; n <= 1; n++) isNear ||= at(i + m, j + n).road === 1;
  return noise < 8 && !isNear ? noise : noise % 5;
}

function packed(facts) {
  let number = 0;
  for (const [name, bits] of Object.entries(FACTS)) number = number * 2 ** bits + facts[name];
  return number;
}

function unpacked(number) {
  const facts = {};
  for (const [name, bits] of Object.entries(FACTS).reverse()) {
    facts[name] = number % 2 ** bits;
    number = Math.floor(number / 2 ** bits);
  }
  return facts;
}

/** The signal heads before junctions: row, column and heading of the stop line, number of the junction. */
function stopLines(map) {
  const lines = [];
  for (let row = 0; map.num_junctions && row < map.rows; row++) {
    for (let col = 0; col < map.cols; col++) {
      const cell = (row + 1) * map.width + col + 1,
        bits = map.ground[cell] & ~PORTAL;
      const heading = HEADING_OF_MASK[bits & 15];
      const [ahead, aside] = [row + ROW_STEPS[heading], col + COL_STEPS[heading]];
      if (bits >> 4 !== STOP_LINE || heading >= SEVERAL_HEADINGS) continue;
      if (ahead < 0 || ahead >= map.rows || aside < 0 || aside >= map.cols) continue;
      const number = map.junction[(ahead + 1) * map.width + aside + 1];
      if (number) lines.push([row, col, heading, number - 1]);
    }
  }
  return lines;
}
