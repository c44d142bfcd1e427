const NEW_LEVEL = [
  ". . . . . . . . . . . .",
  ". . . . . . . . . . . .",
  ". . . . . . . . . . . .",
  ". >E0 > > > > > > >v . . .",
  ". . . . . . . . v . . .",
  ". . . . . . . . v . . .",
  ". . . . . . . . >v > >G0 .",
  ". . . . . . . . . . . .",
].join("\n");
const MOST_UNDONE = 500;
const KEPT_DRAWING = "drivesim drawing"; // where the browser keeps the drawing while the page is closed

const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** The part of the page on which one draws a level. */
class Editor {
  constructor(data, kernels, page, stage) {
    this.kernels = kernels;
    this.texts = kernels.manifest.texts;
    this.builder = page.builder;
    this.sheet = new Stage(at("sheet"), data.art, stage.images);
    this.brush = "road";
    this.heading = 0;
    this.cursor = null;
    this.history = [];
    this.future = [];
    this.fill(data);
    this.listen();
    const kept = browserKeeps((storage) => storage.getItem(KEPT_DRAWING)) ?? NEW_LEVEL;
    this.take(NEW_LEVEL);
    if (kept === NEW_LEVEL) return;
    this.keep();
    try {
      this.take(kept);
    } catch {
      this.undo(); // whatever is wrong with it, the page opens
    }
  }

  fill(data) {
    at("tools").append(
      ...Object.entries(BRUSHES).map(([name, { label, hint }]) => {
        const input = Object.assign(document.createElement("input"), {
          type: "radio",
          name: "brush",
          value: name,
          checked: name === this.brush,
        });
        return Object.assign(element("label", input, element("span", label)), { title: hint });
      }),
    );
    const names = Object.keys(data.manifest.gallery);
    at("template").append(
      new Option("a short road", ""),
      ...names.map((name) => new Option(name.slice(GALLERY.length).replaceAll("_", " "), name)),
    );
    at("hint").textContent = BRUSHES[this.brush].hint;
  }

  get text() {
    return at("text").value;
  }

  /** Take a text over and check it; `isTyped` = it stands there already. */
  take(text, isTyped = false) {
    if (!isTyped) at("text").value = text;
    browserKeeps((storage) => storage.setItem(KEPT_DRAWING, text));
    try {
      this.split = splitText(text, this.texts);
      this.words = this.split.words.map((row) => [...row]);
      this.head = headText(text, this.split);
    } catch (error) {
      this.say(error);
      return;
    }
    this.check(text);
    at("rows").value = this.split.rows;
    at("cols").value = this.split.cols;
    this.lay();
  }

  /** Whether the level may be driven, and where not. */
  check(text) {
    this.error = null;
    this.environment = null;
    try {
      this.environment = this.builder.environment(text);
    } catch (error) {
      if (!(error instanceof LevelError)) throw error;
      this.say(error);
      return;
    }
    const { rows, cols } = this.split;
    at("verdict").className = "good";
    at("verdict").textContent = `It can be driven: ${counted(rows, "row")}, ${counted(cols, "column")}.`;
    at("drive-it").disabled = false;
  }

  say(error) {
    this.error = error;
    at("verdict").className = "grave";
    at("verdict").textContent = `Line ${error.line}, column ${error.column}: ${error.message}`;
    at("drive-it").disabled = true;
  }

  // --- the picture ------------------------------------------------------------------------------------------------

  /** A map to be shown: that of the level, or what the words say of it while it is none. */
  shownMap() {
    const { rows, cols, tokens } = this.split,
      width = cols + 2,
      cells = (rows + 2) * width;
    const map = {
      rows,
      cols,
      width,
      cells,
      isRing: false,
      ring_rows: 0,
      ring_cols: 0,
      half_lane: 0,
      num_junctions: 0,
      num_portals: 0,
      has_goal_headings: 0,
      ground: new Uint8Array(cells),
      lanes: new Uint8Array(cells).fill(8),
      distances: new Uint16Array(cells).fill(1),
      controls: [],
    };
    tokens.forEach((token, n) => {
      const cell = (Math.floor(n / cols) + 1) * width + (n % cols) + 1;
      map.ground[cell] = token.headings | (token.kind << 4);
      if (token.goals) map.distances[cell] = 0;
    });
    if (!this.environment) return map;
    const { library, map: lengths } = this.environment,
      { heap, manifest } = this.kernels;
    const layout = layoutOf(heap, manifest.structures.Map, lengths),
      address = heap.room(layout.size),
      place = new Place(heap, layout, address);
    place.bytes.set(library.map);
    const real = { half_lane: place.head("half_lane"), lanes: place.block("lanes") };
    heap.giveBack(address, layout.size);
    return { ...map, ...real };
  }

  lay() {
    const { rows, cols } = this.split,
      side = (cells) => ({ cells, ego: 0, shown: cells, first: 0, count: cells, period: 0 });
    this.sheet.lay(this.shownMap(), 0, { rows: side(rows), cols: side(cols) });
    this.fit();
  }

  fit() {
    if (at("draw").hidden || !this.sheet.picture) return;
    const box = at("paper"),
      high = window.innerHeight - (at("paper").getBoundingClientRect().top + window.scrollY) - 60;
    this.sheet.fit(box.clientWidth, Math.max(260, high));
    this.show();
  }

  show() {
    const { rows, cols, tokens } = this.split,
      { picture } = this.sheet,
      scene = { pieces: [] };
    tokens.forEach((token, n) => {
      const row = Math.floor(n / cols),
        col = n % cols,
        only = [0, 1, 2, 3].find((heading) => (token.headings >> heading) & 1) ?? 0;
      if (token.who === AN_EGO) scene.pieces.push(piece(lookName("ego"), row, col, { turn: only }));
      if (token.who === A_VEHICLE) scene.pieces.push(piece(lookName("car", "TRAFFIC0"), row, col, { turn: only }));
      if (token.who === A_WALKER) scene.pieces.push(piece(lookName("pedestrian"), row, col));
    });
    picture.drawScene(this.sheet.pieces(scene), piece("", 0, 0), 1);
    const { context, cell } = picture;
    context.strokeStyle = "rgb(0 0 0 / .18)";
    context.lineWidth = 1;
    context.beginPath();
    for (let row = 0; row <= rows; row++) context.rect(0, row * cell, cols * cell, 0);
    for (let col = 0; col <= cols; col++) context.rect(col * cell, 0, 0, rows * cell);
    context.stroke();
    if (this.error)
      this.outline(
        tokens.findIndex(({ line, column }) => line === this.error.line && column === this.error.column),
        "--grave",
        true,
      );
    if (this.cursor) this.outline(this.cursor[0] * cols + this.cursor[1], "--sky", false);
  }

  outline(n, colour, isCrossed) {
    const { cols } = this.split,
      { context, cell } = this.sheet.picture,
      x = (n % cols) * cell,
      y = Math.floor(n / cols) * cell;
    if (n < 0) return;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(colour);
    context.lineWidth = Math.max(2, cell / 9);
    context.strokeRect(x, y, cell, cell);
    if (!isCrossed) return;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + cell, y + cell);
    context.moveTo(x + cell, y);
    context.lineTo(x, y + cell);
    context.stroke();
  }

  // --- changes ----------------------------------------------------------------------------------------------------

  composed(words, head = this.head) {
    return `${head ? `${head}\n\n` : ""}${alignedText(words)}`;
  }

  keep() {
    this.history.push(this.text);
    if (this.history.length > MOST_UNDONE) this.history.shift();
    this.future = [];
  }

  undo(from = this.history, to = this.future) {
    while (from.at(-1) === this.text) from.pop(); // of a stroke that changed nothing
    if (!from.length) return;
    to.push(this.text);
    this.take(from.pop());
  }

  redo() {
    this.undo(this.future, this.history);
  }

  /** Paint a cell to which the stroke comes, or, if `leaves`, from which it goes on. */
  paint(row, col, leaves = false) {
    const name = `${row} ${col}`,
      before = this.stroke.get(name),
      { words } = this,
      { kinds } = this.texts;
    if (before && TOGGLES.includes(this.brush)) return;
    const token = readWord(words[row][col], this.texts),
      heading = this.brush === "walker" ? this.towardsCrosswalk(row, col) : this.heading;
    const cell = before ?? { isNew: !isRoad(token), isFirst: this.stroke.size === 0, comes: 0 };
    if (!leaves && !cell.isFirst) cell.comes |= 1 << heading;
    cell.goes = (cell.goes ?? 0) | (leaves ? 1 << heading : 0);
    this.stroke.set(name, cell);
    const mask = cell.comes | cell.goes || 1 << heading,
      brush = BRUSHES[this.brush],
      { topSpeed } = brush;
    const letter = topSpeed === undefined ? "" : letterOfClass(topSpeed, this.head, this.split.classes);
    const painted = brush.paint(token, { ...cell, heading, mask, kinds, letter, topSpeed });
    if (painted === token) {
      at("hint").textContent = `${brush.label}: only on a road.`;
      return;
    }
    if (this.brush === "ego") {
      for (const line of words) line.forEach((word, n) => (line[n] = word.replace(/E[0-9]*$/, "")));
    }
    words[row][col] = wordText(painted, this.texts);
    if (painted.name && letter) this.head = this.withClass(this.head, `${letter}.top_speed = ${topSpeed}`);
  }

  /** Take over what has been painted, once for however many cells: a level is checked as a whole. */
  takePainted() {
    this.head = this.withoutLost(this.head, this.words);
    this.take(this.composed(this.words));
  }

  /** A head with the line of a class. */
  withClass(head, line) {
    return head.split("\n").includes(line) ? head : [head, line].filter(Boolean).join("\n");
  }

  /** A head without lines of classes that have no vehicles any more. */
  withoutLost(head, words) {
    const names = new Set([...new Set(words.flat())].map((word) => readWord(word, this.texts).name));
    const isLost = (one) => /^[a-oq-uw-z]{1,3}\./.test(one) && !names.has(one.split(".")[0]);
    const groups = ["egos", "goals", "walkers"].map((group) => `${group}.`);
    return head
      .split("\n")
      .filter((one) => groups.some((group) => one.startsWith(group)) || !isLost(one))
      .join("\n");
  }

  /** The heading from a cell to a crosswalk beside it. */
  towardsCrosswalk(row, col) {
    const found = [0, 1, 2, 3].find((heading) => {
      const word = this.words[row + ROW_STEPS[heading]]?.[col + COL_STEPS[heading]];
      return word && readWord(word, this.texts).kind === CROSSWALK;
    });
    return found ?? 0;
  }

  /** Go on to a cell with the brush, cell by cell; on a road every cell leads on to the next one. */
  moveTo(row, col) {
    let [atRow, atCol] = this.cursor;
    while (atRow !== row || atCol !== col) {
      const [down, right] = atRow !== row ? [Math.sign(row - atRow), 0] : [0, Math.sign(col - atCol)];
      this.heading = [0, 1, 2, 3].find((heading) => ROW_STEPS[heading] === down && COL_STEPS[heading] === right);
      if (this.brush === "road") this.paint(atRow, atCol, true);
      [atRow, atCol] = [atRow + down, atCol + right];
      this.cursor = [atRow, atCol];
      this.paint(atRow, atCol);
    }
    this.takePainted();
  }

  /** Make the level as large as the fields say; what is no number leaves it as it is. */
  resize() {
    const [rows, cols] = ["rows", "cols"].map((id) =>
      Math.min(Math.max(Math.floor(Number(at(id).value || this.split[id])), 1), this.texts[`max_${id}`]),
    );
    this.keep();
    this.take(
      this.composed(
        Array.from({ length: rows }, (_, row) =>
          Array.from({ length: cols }, (__, col) => this.words[row]?.[col] ?? "."),
        ),
      ),
    );
  }

  // --- controls ---------------------------------------------------------------------------------------------------

  cellAt({ clientX, clientY }) {
    const box = at("sheet").getBoundingClientRect(),
      { rows, cols } = this.split,
      within = (value, most) => Math.min(Math.max(Math.floor(value), 0), most - 1);
    return [
      within(((clientY - box.top) / box.height) * rows, rows),
      within(((clientX - box.left) / box.width) * cols, cols),
    ];
  }

  listen() {
    const sheet = at("sheet");
    sheet.addEventListener("pointerdown", (press) => {
      if (press.button !== 0) return;
      sheet.setPointerCapture(press.pointerId);
      sheet.focus();
      this.begin(...this.cellAt(press));
    });
    sheet.addEventListener("pointermove", (move) => {
      if (move.buttons & 1 && this.stroke && this.cursor) this.moveTo(...this.cellAt(move));
    });
    sheet.addEventListener("pointerup", () => {
      this.stroke = null;
    });
    sheet.addEventListener("keydown", (pressed) => this.press(pressed));
    at("tools").addEventListener("change", ({ target }) => {
      this.brush = target.value;
      at("hint").textContent = BRUSHES[this.brush].hint;
    });
    at("text").addEventListener("input", () => this.take(this.text, true));
    at("text").addEventListener("focus", () => this.keep());
    at("undo").addEventListener("click", () => this.undo());
    at("redo").addEventListener("click", () => this.redo());
    for (const id of ["rows", "cols"]) at(id).addEventListener("change", () => this.resize());
    at("template").addEventListener("change", () => {
      this.keep();
      this.cursor = null;
      this.take(at("template").value ? this.kernels.manifest.gallery[at("template").value] : NEW_LEVEL);
    });
    at("drive-it").addEventListener("click", () => this.drive(this.text));
    at("copy").addEventListener("click", () => navigator.clipboard?.writeText(this.text));
    at("keep").addEventListener("click", () => download("level.txt", this.text));
    document.addEventListener("keydown", (pressed) => {
      if (at("draw").hidden || !(pressed.ctrlKey || pressed.metaKey) || pressed.target.matches("textarea")) return;
      const key = pressed.key.toLowerCase(),
        isRedo = key === "y" || (key === "z" && pressed.shiftKey);
      if (!isRedo && key !== "z") return;
      pressed.preventDefault();
      if (isRedo) this.redo();
      else this.undo();
    });
  }

  begin(row, col) {
    this.keep();
    this.stroke = new Map(); // the cells of the stroke, and how it comes to them and goes on
    this.cursor = [row, col];
    at("hint").textContent = BRUSHES[this.brush].hint;
    this.paint(row, col);
    this.takePainted();
  }

  /** Keys on the sheet: arrows move the cursor, with shift they draw. */
  press(pressed) {
    const heading = ["ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"].indexOf(pressed.key),
      { rows, cols } = this.split;
    const [row, col] = this.cursor ?? [0, 0];
    if (heading >= 0) {
      const to = [
        Math.min(Math.max(row + ROW_STEPS[heading], 0), rows - 1),
        Math.min(Math.max(col + COL_STEPS[heading], 0), cols - 1),
      ];
      if (pressed.shiftKey) {
        if (!this.stroke) this.begin(row, col);
        this.moveTo(...to);
      } else {
        this.stroke = null;
        this.cursor = to;
        this.show();
      }
    } else if ([" ", "Enter"].includes(pressed.key)) {
      this.begin(row, col);
      this.stroke = null;
    } else return;
    pressed.preventDefault();
  }
}
