/** Draws the road and what is on it at any time of an episode. */
class Picture {
  /**
   * @param canvas to draw on.
   * @param episode `rows`, `cols`, `ground`, `num_tiles`, `cell`, `looks`, `middle` and `tint` as a page has them; of a
   *   finished episode `fields`, `pieces` and `ticks` too.
   * @param tiles the image of all tiles, one below the other.
   * @param looks the images of the episode's looks.
   */
  constructor(canvas, episode, tiles, looks) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.episode = episode;
    this.tiles = tiles;
    this.lookImages = looks;
    const fields = Object.entries(episode.fields ?? {});
    this.pieces = (episode.pieces ?? []).map((values) =>
      Object.fromEntries(fields.map(([name, usual], i) => [name, values[i] ?? usual])));
  }

  /** Width of the picture over its height. */
  get aspect() {
    return this.episode.cols.shown / this.episode.rows.shown;
  }

  /** Make it as large as fits into a box of CSS pixels, its cells being a whole number of the screen's pixels. */
  fit(width, height) {
    const { rows, cols, cell, num_tiles: numTiles, looks } = this.episode;
    const ratio = window.devicePixelRatio || 1;
    this.cell = Math.max(2, Math.floor(Math.min((width * ratio) / cols.shown, (height * ratio) / rows.shown)));
    this.canvas.width = cols.shown * this.cell;
    this.canvas.height = rows.shown * this.cell;
    this.canvas.style.width = `${this.canvas.width / ratio}px`;
    this.canvas.style.height = `${this.canvas.height / ratio}px`;
    this.context.imageSmoothingQuality = "high";
    this.tilesAcross = Math.ceil(Math.sqrt(numTiles));
    this.atlas = newCanvas(this.tilesAcross * this.cell, this.tilesAcross * this.cell);
    const single = newCanvas(cell, cell);  // scaled alone, a tile gets no colour from its neighbours in the image
    for (let n = 0; n < numTiles; n++) {
      const x = (n % this.tilesAcross) * this.cell, y = Math.floor(n / this.tilesAcross) * this.cell;
      single.drawImage(this.tiles, 0, n * cell, cell, cell, 0, 0, cell, cell);
      this.atlas.drawImage(single.canvas, x, y, this.cell, this.cell);
    }
    this.looks = looks.map(({ top, left }, n) => {
      const image = this.lookImages[n], scale = this.cell / cell;
      return { image, x: left * scale, y: top * scale, width: image.width * scale, height: image.height * scale };
    });
    this.ground = newCanvas((cols.shown + 1) * this.cell, (rows.shown + 1) * this.cell);
    this.groundCorner = null;
  }

  /** Draw the episode when `position` ticks have passed, a fraction of one being a part of it. */
  draw(position, showSaliency) {
    const { ticks } = this.episode;
    const n = Math.ceil(position), share = n === position ? 1 : position - (n - 1);
    const { pieces, focus } = ticks[n], decision = showSaliency ? ticks[Math.floor(position)].decision : null;
    this.drawScene(pieces.map((number) => this.pieces[number]), this.pieces[focus], share, decision);
  }

  /** Draw pieces after a share of their tick, the lowest first, around a piece that moves as the ego does. */
  drawScene(pieces, focus, share, decision = null) {
    const { rows, cols } = this.episode, context = this.context;
    const [egoRow, egoCol] = this.place(focus, share);
    const firstRow = first(rows, egoRow), firstCol = first(cols, egoCol);
    const top = Math.round(firstRow * this.cell), left = Math.round(firstCol * this.cell);  // whole pixels: no seams
    this.drawGround(top, left);
    this.drawSaliency(decision, top, left, firstRow, firstCol);
    for (const piece of pieces) {
      const look = this.looks[share >= 1 && piece.last_look >= 0 ? piece.last_look : piece.look];
      const [row, col] = this.place(piece, share), direction = this.direction(piece, share);
      for (const atRow of places(inView(row - firstRow, rows), piece.row, piece.down, rows)) {
        for (const atCol of places(inView(col - firstCol, cols), piece.col, piece.right, cols)) {
          const x = (atCol + firstCol + 0.5) * this.cell - left, y = (atRow + firstRow + 0.5) * this.cell - top;
          context.setTransform(1, 0, 0, 1, x, y);
          context.rotate((direction * Math.PI) / 2);
          context.globalAlpha = piece.opacity ?? 1;
          context.drawImage(look.image, look.x, look.y, look.width, look.height);
        }
      }
    }
    context.globalAlpha = 1;
    context.resetTransform();
  }

  /** Row and column of a piece's middle after a share of its tick. */
  place(piece, share) {
    const { middle } = this.episode;
    const part = share < middle ? share / middle : (1 - share) / (1 - middle);  // of what is bent there
    return [
      piece.row + piece.down * share + piece.row_bend * part,
      piece.col + piece.right * share + piece.col_bend * part,
    ];
  }

  /** Where a piece heads after a share of its tick, in quarter turns to the right of north. */
  direction(piece, share) {
    const part = Math.min(1, share / this.episode.middle);
    return piece.turn + piece.turns * part + (part < 1 ? piece.leans * Math.sin(Math.PI * part) : 0);
  }

  /** Lay the ground, its north-western corner being pixel (top, left) of the map. */
  drawGround(top, left) {
    const { rows, cols, ground } = this.episode, cell = this.cell;
    const firstRow = Math.floor(top / cell), firstCol = Math.floor(left / cell);
    const corner = `${firstRow},${firstCol}`;
    if (corner !== this.groundCorner) {  // another row or column of cells has come into view
      this.groundCorner = corner;
      for (let i = 0; i <= rows.shown; i++) {
        for (let j = 0; j <= cols.shown; j++) {
          const row = index(firstRow + i, rows), col = index(firstCol + j, cols);
          const n = ground[row * cols.count + col];
          const x = (n % this.tilesAcross) * cell, y = Math.floor(n / this.tilesAcross) * cell;
          this.ground.drawImage(this.atlas.canvas, x, y, cell, cell, j * cell, i * cell, cell, cell);
        }
      }
    }
    this.context.drawImage(this.ground.canvas, firstCol * cell - left, firstRow * cell - top);
  }

  /** Tint the ground of the cells that matter most to the driver. */
  drawSaliency(decision, top, left, firstRow, firstCol) {
    const { rows, cols, tint } = this.episode, context = this.context;
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--saliency");
    for (const [row, col, weight] of decision ? decision.saliency : []) {
      const y = Math.round((inView(row - firstRow, rows) + firstRow) * this.cell) - top;
      const x = Math.round((inView(col - firstCol, cols) + firstCol) * this.cell) - left;
      context.globalAlpha = tint * weight;
      context.fillRect(x, y, this.cell, this.cell);
    }
    context.globalAlpha = 1;
  }
}

/** The context of a canvas that is not shown; it scales smoothly. */
function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  return context;
}

/** The first cell to show of the rows or columns `side`: a ring scrolls past the ego, a window stops at the ends. */
function first(side, ego) {
  const wanted = ego - Math.floor(side.ego * side.shown);
  if (side.period) return modulo(wanted, side.period);
  return Math.min(Math.max(wanted, side.first), side.first + side.count - side.shown);
}

/** Which of the cells that can come into view a row or column of the map is. */
function index(cell, side) {
  if (side.period) return modulo(cell, side.period);
  return Math.min(Math.max(cell - side.first, 0), side.count - 1);
}

/** A distance from the picture's edge; on a ring between -1 and the period less 1. */
function inView(cells, side) {
  return side.period ? modulo(cells + 1, side.period) - 1 : cells;
}

/** Where something is seen: whoever leaves a map that continues on its other side comes in there. */
function places(place, start, move, side) {
  const isInside = Math.min(start, start + move) > -1 && Math.max(start, start + move) < side.cells;
  return side.period || isInside ? [place] : [place - side.cells, place, place + side.cells];
}

function modulo(value, period) {
  return ((value % period) + period) % period;
}
