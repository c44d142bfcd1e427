// What the page's scripts see in states that Python has copied into a memory; answers on the standard output.
const memory = new WebAssembly.Memory({ initial: 1 }),
  heap = new Heap(memory, 0, input.manifest.records);
const { Map: mapType, World: worldType } = input.manifest.structures;

function placed(structure, lengths, bytes) {
  const layout = layoutOf(heap, structure, lengths),
    place = new Place(heap, layout, heap.room(layout.size));
  if (layout.size !== bytes.length) throw new Error(`${layout.size} bytes for ${bytes.length}`);
  place.bytes.set(bytes);
  return place;
}

const answers = input.episodes.map(
  ({ map_lengths: mapLengths, world_lengths: worldLengths, map: mapBytes, worlds }) => {
    const map = readMap(placed(mapType, mapLengths, fromBase64(mapBytes)));
    const read = worlds.map((bytes) => readWorld(placed(worldType, worldLengths, fromBase64(bytes))));
    const { rows, cols, numbers } = groundOf(map, read[0].egos[0].goal),
      lines = stopLines(map);
    return { rows, cols, numbers, scenes: read.map((world, n) => sceneOf(map, lines, world, read[n - 1])) };
  },
);
const tiles = input.tiles.map((number) =>
  Array.from(tileOf(input.cell, number, input.paints)).filter((_, n) => n % 4 !== 3),
);
console.log(JSON.stringify({ answers, tiles }));
