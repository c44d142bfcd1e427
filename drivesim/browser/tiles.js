// Paints the ground of one cell from its packed facts, as `drivesim.render.tiles` does. Colours and the places of grass
// and bushes are the page's, from Python.
const LINE_WIDTH = 0.07,
  VERGE_WIDTH = 0.13,
  FIRST_BUSH = 5; // cells
const CORNERS = [
  [-0.5, -0.5],
  [0.5, -0.5],
  [0.5, 0.5],
  [-0.5, 0.5],
]; // north-west, clockwise
const SIDES = [
  [0, -0.5],
  [0.5, 0],
  [0, 0.5],
  [-0.5, 0],
]; // middles of the sides, north first

/** A cell as samples, finer than it is shown. */
class Canvas {
  constructor(cell) {
    this.cell = cell;
    this.fineness = Math.max(2, Math.ceil(64 / cell));
    this.side = cell * this.fineness;
    this.samples = new Float32Array(this.side * this.side * 3);
    this.at = Float32Array.from({ length: this.side }, (_, n) => (n + 0.5) / this.side - 0.5);
  }

  /** Cover the samples (x, y), in cells from the middle, for which `where` is true. */
  paint(colour, where, opacity = 1) {
    const { side, samples, at } = this,
      [red, green, blue] = colour.map((value) => value * opacity),
      rest = 1 - opacity;
    for (let i = 0, n = 0; i < side; i++) {
      for (let j = 0; j < side; j++, n += 3) {
        if (!where(at[j], at[i], i * side + j)) continue;
        samples[n] = samples[n] * rest + red;
        samples[n + 1] = samples[n + 1] * rest + green;
        samples[n + 2] = samples[n + 2] * rest + blue;
      }
    }
  }

  /** What a function of (x, y) is at every sample. */
  map(value) {
    const { side, at } = this,
      values = new Float32Array(side * side);
    for (let i = 0, n = 0; i < side; i++) for (let j = 0; j < side; j++, n++) values[n] = value(at[j], at[i]);
    return values;
  }

  /** The picture, RGBA bytes of `cell` x `cell` pixels. */
  toBytes() {
    const { cell, fineness, side, samples } = this,
      bytes = new Uint8ClampedArray(cell * cell * 4).fill(255);
    for (let i = 0; i < cell; i++) {
      for (let j = 0; j < cell; j++) {
        for (let part = 0; part < 3; part++) {
          let sum = 0;
          for (let m = 0; m < fineness; m++) {
            for (let n = 0; n < fineness; n++)
              sum += samples[((i * fineness + m) * side + j * fineness + n) * 3 + part];
          }
          bytes[(i * cell + j) * 4 + part] = sum / (fineness * fineness);
        }
      }
    }
    return bytes;
  }
}

/** Whether a point lies in a box around the origin whose corners are rounded. */
function inBox(x, y, halfWidth, halfHeight, corner = 0) {
  const beyondX = Math.max(Math.abs(x) - (halfWidth - corner), 0),
    beyondY = Math.max(Math.abs(y) - (halfHeight - corner), 0);
  return corner ? beyondX ** 2 + beyondY ** 2 <= corner ** 2 : beyondX + beyondY <= 0;
}

/** Coordinates in the frame of who heads `turn` quarter turns to the right of north. */
function turned(x, y, turn) {
  return [
    [x, y],
    [y, -x],
    [-x, -y],
    [-y, x],
  ][turn & 3];
}

function distanceToSegment(x, y, [startX, startY], [endX, endY]) {
  const dx = endX - startX,
    dy = endY - startY;
  const along = Math.min(Math.max(((x - startX) * dx + (y - startY) * dy) / (dx ** 2 + dy ** 2), 0), 1);
  return Math.hypot(x - startX - along * dx, y - startY - along * dy);
}

/** The picture of a cell's ground, RGBA bytes; `paints` are the page's colours and verges. */
function tileOf(cell, number, paints) {
  const facts = unpacked(number),
    { kind, heading, corners } = facts,
    { colours } = paints;
  const canvas = new Canvas(cell);
  const inCorners = (x, y) =>
    CORNERS.some(([cx, cy], n) => (corners >> n) & 1 && Math.abs(x - cx) + Math.abs(y - cy) < 0.5);
  const road = canvas.map((x, y) => Number(inCorners(x, y) === (kind === OFF_ROAD)));
  if (kind === OFF_ROAD || corners) paintGrass(canvas, paints, facts.verge);
  const edges = edgeSegments(facts);
  const distance = canvas.map((x, y) =>
    edges.reduce((least, [from, to]) => Math.min(least, distanceToSegment(x, y, from, to)), 9),
  );
  if (edges.length) canvas.paint(colours.VERGE, (x, y, n) => !road[n] && distance[n] < VERGE_WIDTH);
  canvas.paint(surfaceOf(kind, heading, colours), (x, y, n) => road[n]);
  paintKind(canvas, kind, heading, road, colours);
  if (kind !== SHOULDER && kind !== GOAL && edges.length) {
    canvas.paint(colours.MARKING, (x, y, n) => road[n] && distance[n] > 0.04 && distance[n] < 0.04 + LINE_WIDTH);
  }
  paintLines(canvas, facts.lines, road, colours);
  if (kind === GOAL && facts.middle === 2) paintGoalHeading(canvas, heading, colours);
  else if (facts.obstacle === 0) paintMiddle(canvas, facts.middle, heading, colours);
  else if (facts.obstacle === 1) paintBarrier(canvas, facts.joined, colours);
  else paintParkedCar(canvas, heading, colours);
  return canvas.toBytes();
}

function surfaceOf(kind, heading, colours) {
  if (kind === SHOULDER) return colours.SHOULDER;
  if (kind === PARKING_BAY) return colours.BAY;
  return kind === LANE && heading === EVERY_HEADING ? colours.OPEN_GROUND : colours.ASPHALT;
}

/** The segments along which road and verge meet inside a cell. */
function edgeSegments({ halves, corners }) {
  const segments = [];
  for (let n = 0; n < 4; n++) {
    [n, (n + 1) % 4].forEach((corner, half) => {
      if ((halves >> (2 * n + half)) & 1) segments.push([SIDES[n], CORNERS[corner]]);
    });
    if ((corners >> n) & 1) segments.push([SIDES[(n + 3) % 4], SIDES[n]]);
  }
  return segments;
}

function paintGrass(canvas, { colours, verges }, verge) {
  const { blades, bushes, lights } = verges[verge];
  canvas.paint(colours.GRASS, () => true);
  canvas.paint(colours.GRASS_DARK, (x, y) => blades.some(([bx, by]) => inBox(x - bx, y - by, 0.025, 0.06)));
  if (verge < FIRST_BUSH) return;
  canvas.paint(colours.BUSH, (x, y) => bushes.some(([bx, by]) => Math.hypot(x - bx, y - by) < 0.26));
  canvas.paint(colours.BUSH_LIGHT, (x, y) => lights.some(([bx, by]) => Math.hypot(x - bx, y - by) < 0.1));
}

/** Half of every line at the cell's sides. */
function paintLines(canvas, lines, road, colours) {
  SIDES.forEach(([sideX, sideY], n) => {
    const style = (lines >> (2 * n)) & 3,
      width = style === 3 ? LINE_WIDTH : LINE_WIDTH / 2;
    if (!style) return;
    canvas.paint(style === 3 ? colours.DIVIDER : colours.MARKING, (x, y, at) => {
      const away = sideX ? Math.abs(x - sideX) : Math.abs(y - sideY),
        along = sideX ? y : x;
      return road[at] && away < width && (style !== 1 || Math.abs(along) < 0.27);
    });
  });
}

/** The guide along the centre of a wide lane, or an arrow in the lane's direction. */
function paintMiddle(canvas, middle, heading, colours) {
  if (middle === 1) {
    canvas.paint(colours.GUIDE, (x, y) => inBox(...turned(x, y, heading), 0.04, 0.2, 0.04));
  } else if (middle === 2) {
    canvas.paint(
      colours.MARKING,
      (px, py) => {
        const [x, y] = turned(px, py, heading);
        return inBox(x, y - 0.08, 0.035, 0.2) || (y > -0.32 && y < -0.06 && Math.abs(x) < (y + 0.32) * 0.55);
      },
      0.55,
    );
  }
}

/** A bold arrow in the heading in which the goal must be reached. */
function paintGoalHeading(canvas, heading, colours) {
  for (const [rim, colour] of [
    [0.06, colours.OUTLINE],
    [0, colours.ROUTE],
  ]) {
    canvas.paint(colour, (px, py) => {
      const [x, y] = turned(px, py, heading);
      return (
        inBox(x, y - 0.14, 0.09 + rim, 0.2 + rim) ||
        (y > -0.4 - 2 * rim && y < rim && Math.abs(x) < (y + 0.4 + 2 * rim) * 0.75)
      );
    });
  }
}

/** What makes a special cell: stripes, bars, chequers. */
function paintKind(canvas, kind, heading, road, colours) {
  if (kind === GOAL) {
    const isLight = (x, y) => modulo(Math.floor(x * 4) + Math.floor(y * 4), 2) === 0;
    canvas.paint(colours.CHECKER_LIGHT, (x, y, n) => road[n] && isLight(x, y));
    canvas.paint(colours.CHECKER_DARK, (x, y, n) => road[n] && !isLight(x, y));
  } else if (kind === CROSSWALK) {
    canvas.paint(
      colours.MARKING,
      (x, y, n) => road[n] && Math.abs(modulo(turned(x, y, heading)[0], 0.25) - 0.125) < 0.07,
    );
  } else if (kind === STOP_LINE) {
    canvas.paint(colours.MARKING, (px, py, n) => {
      const y = turned(px, py, heading)[1];
      return road[n] && y < -0.34 && y > -0.48;
    });
  } else if (kind === PARKING_BAY) {
    canvas.paint(colours.MARKING, (x, y, n) => road[n] && !inBox(x, y, 0.44, 0.44));
  } else if (kind === LANE && heading === EVERY_HEADING) {
    canvas.paint(colours.JOINT, (x, y, n) => road[n] && !inBox(x, y, 0.485, 0.485));
  }
}

/** A striped barrier that goes on at the sides in `joined`. */
function paintBarrier(canvas, joined, colours) {
  const within = (inset) => {
    const [north, east, south, west] = [0, 1, 2, 3].map((side) => ((joined >> side) & 1 ? 0.5 : 0.5 - inset));
    return (x, y) => x > -west && x < east && y > -north && y < south;
  };
  const top = within(0.15),
    isStripe = (x, y) => modulo(x + y, 0.5) < 0.25;
  canvas.paint(colours.OUTLINE, within(0.1));
  canvas.paint(colours.BARRIER, (x, y) => top(x, y) && isStripe(x, y));
  canvas.paint(colours.BARRIER_STRIPE, (x, y) => top(x, y) && !isStripe(x, y));
}

/** A car that stands still with its hazard lights on. */
function paintParkedCar(canvas, heading, colours) {
  const halfLength = 0.42,
    halfWidth = 0.25;
  const paint = (colour, where) => canvas.paint(colour, (px, py) => where(...turned(px, py, heading)));
  paint(colours.OUTLINE, (x, y) => inBox(x, y, halfWidth + 0.06, halfLength + 0.05, 0.16));
  paint(colours.PARKED, (x, y) => inBox(x, y, halfWidth, halfLength, 0.12));
  paint(colours.GLASS, (x, y) => {
    const taper = 1 - 0.8 * Math.min(Math.max(y + 0.27, 0), 0.15);
    return inBox(x / taper, y + 0.17, halfWidth - 0.05, 0.075, 0.03);
  });
  paint(colours.GLASS, (x, y) => inBox(x, y - 0.27, halfWidth - 0.07, 0.045, 0.02));
  paint(colours.HEADLIGHT, (x, y) => inBox(Math.abs(x) - 0.155, y + halfLength - 0.045, 0.055, 0.03));
  paint(colours.HAZARD, (x, y) => inBox(Math.abs(x) - 0.15, y - halfLength + 0.035, 0.075, 0.04));
  paint(colours.HAZARD, (x, y) => inBox(Math.abs(x) - 0.17, y + halfLength - 0.04, 0.075, 0.045));
}
