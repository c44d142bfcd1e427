/** A canvas that shows a level: its ground once, and on it the scenes that go on there. */
class Stage {
  /**
   * @param canvas to draw on.
   * @param art the page's pictures: looks, colours, verges.
   * @param images of the looks, in their order.
   */
  constructor(canvas, art, images) {
    this.canvas = canvas;
    this.art = art;
    this.images = images;
    this.numbers = Object.fromEntries(Object.keys(art.looks).map((name, n) => [name, n]));
    this.tiles = new Map(); // what has been painted, by the tile's number
  }

  static async load(canvas, art) {
    const images = await Promise.all(
      Object.values(art.looks).map(async ({ image: address }) => {
        const image = new Image();
        image.src = address;
        await image.decode();
        return image;
      }),
    );
    return new Stage(canvas, art, images);
  }

  /** Show another level. */
  lay(map, goal, extents = extentsOf(map)) {
    const { cell, tint, looks } = this.art,
      { rows, cols, numbers } = groundOf(map, goal, extents);
    const distinct = [...new Set(numbers)],
      places = new Map(distinct.map((number, n) => [number, n]));
    const strip = newCanvas(cell, cell * distinct.length);
    distinct.forEach((number, n) => strip.putImageData(this.tile(number), 0, n * cell));
    const ground = {
      rows,
      cols,
      cell,
      tint,
      middle: MIDDLE,
      num_tiles: distinct.length,
      ground: numbers.map((number) => places.get(number)),
      looks: Object.values(looks),
    };
    this.map = map;
    this.lines = stopLines(map);
    this.picture = new Picture(this.canvas, ground, strip.canvas, this.images);
    if (this.box) this.picture.fit(...this.box);
  }

  tile(number) {
    if (!this.tiles.has(number)) {
      const { cell } = this.art;
      this.tiles.set(number, new ImageData(tileOf(cell, number, this.art), cell, cell));
    }
    return this.tiles.get(number);
  }

  fit(width, height) {
    this.box = [width, height];
    this.picture?.fit(width, height);
  }

  get aspect() {
    return this.picture.aspect;
  }

  /** The pieces of a scene with the numbers of their looks; `opacity` of all of them. */
  pieces(scene, opacity = 1) {
    return scene.pieces.map((one) => ({
      ...one,
      look: this.look(one.look),
      last_look: this.look(one.last_look),
      opacity,
    }));
  }

  /** The number of a look; one without blinkers where there is none with them. */
  look(name) {
    return name === -1 ? -1 : (this.numbers[name] ?? this.numbers[`${name.split(" ").slice(0, 2).join(" ")} 0 0 0`]);
  }

  /** The scene of a tick. */
  scene(after, before) {
    return sceneOf(this.map, this.lines, after, before);
  }
}
