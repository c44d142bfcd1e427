const WORD = 8; // bytes: blocks of a structure begin at whole words, as `drivesim.core.memory` lays them out
const READERS = {
  "?": "getUint8",
  u1: "getUint8",
  i1: "getInt8",
  u2: "getUint16",
  i2: "getInt16",
  u4: "getUint32",
  i4: "getInt32",
  i8: "getBigInt64",
  f4: "getFloat32",
  f8: "getFloat64",
};

/** The memory of the compiled kernels: room in it, and what lies where. */
class Heap {
  /**
   * @param memory the module's.
   * @param first where it is nobody's.
   * @param records the layouts of all records, by name.
   */
  constructor(memory, first, records) {
    this.memory = memory;
    this.records = records;
    this.end = whole(first);
    this.free = []; // [size, address] of what was given back
  }

  /** A view of all of it, good until the next `room`. */
  get view() {
    if (this.seen?.buffer !== this.memory.buffer) this.seen = new DataView(this.memory.buffer);
    return this.seen;
  }

  /** The address of so many bytes, all 0. */
  room(bytes) {
    const size = whole(Math.max(bytes, 1));
    const found = this.free.findIndex(([free]) => free >= size && free <= 2 * size);
    let address = this.end;
    if (found >= 0) [[, address]] = this.free.splice(found, 1);
    else {
      this.end += size;
      const missing = this.end - this.memory.buffer.byteLength;
      if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    }
    this.bytes(address, size).fill(0);
    return address;
  }

  /** Give room back. */
  giveBack(address, bytes) {
    this.free.push([whole(Math.max(bytes, 1)), address]);
  }

  /** A view of a part. */
  bytes(address, size) {
    return new Uint8Array(this.memory.buffer, address, size);
  }

  /** A number; 64-bit integers too, as long as they are exact. */
  number(form, address) {
    const value = this.view[READERS[form]](address, true);
    return typeof value === "bigint" ? Number(value) : value;
  }

  writeNumber(form, address, value) {
    this.view[READERS[form].replace("get", "set")](address, form === "i8" ? BigInt(value) : value, true);
  }

  /** What lies in fields {name: [offset, format, count]}, or some of them: numbers, lists, records in it. */
  fields(fields, address, names = Object.keys(fields)) {
    const found = {};
    for (const name of names) {
      const [offset, form, count] = fields[name],
        size = this.sizeOf(form);
      const one = (n) => this.element(form, address + offset + n * size);
      found[name] = count === 1 ? one(0) : Array.from({ length: count }, (_, n) => one(n));
    }
    return found;
  }

  /** A number, or a record by its name. */
  element(form, address) {
    return form in READERS ? this.number(form, address) : this.fields(this.records[form].fields, address);
  }

  sizeOf(form) {
    return form in READERS ? Number(form.slice(1) || 1) : this.records[form].size;
  }

  /** Write numbers or lists of them to fields, by name. */
  writeFields(fields, address, values) {
    for (const [name, value] of Object.entries(values)) {
      const [offset, form] = fields[name];
      if (Array.isArray(value))
        value.forEach((one, n) => this.writeNumber(form, address + offset + n * this.sizeOf(form), one));
      else this.writeNumber(form, address + offset, value);
    }
  }
}

/** The next whole number of words, in bytes. */
function whole(bytes) {
  return Math.ceil(bytes / WORD) * WORD;
}

/** Where in a structure everything is, if its blocks are so long: `offsets` and `lengths` by name, and its `size`. */
function layoutOf(heap, structure, lengths) {
  const layout = { structure, forms: Object.fromEntries(structure.blocks), offsets: {}, lengths: {} };
  let end = 0;
  for (const [offset, form] of Object.values(structure.head)) end = Math.max(end, offset + heap.sizeOf(form));
  layout.headSize = end;
  for (const [name, form] of structure.blocks) {
    layout.offsets[name] = end = whole(end);
    layout.lengths[name] = Math.max(1, lengths[name]);
    end += heap.sizeOf(form) * layout.lengths[name];
  }
  layout.size = whole(end);
  return layout;
}

/** One structure in the heap. */
class Place {
  constructor(heap, layout, address) {
    this.heap = heap;
    this.layout = layout;
    this.address = address;
  }

  /** The numbers of its head, or some of them, by name. */
  heads(names) {
    return this.heap.fields(this.layout.structure.head, this.address, names);
  }

  head(name) {
    return this.heads([name])[name];
  }

  set(values) {
    this.heap.writeFields(this.layout.structure.head, this.address, values);
  }

  /** Where a block lies. */
  at(name) {
    return this.address + this.layout.offsets[name];
  }

  /** A copy of a block of numbers, as a typed array. */
  block(name) {
    const form = this.layout.forms[name],
      bytes = this.heap.sizeOf(form) * this.layout.lengths[name];
    const kinds = { u1: Uint8Array, u2: Uint16Array, i4: Int32Array };
    return new kinds[form](this.heap.memory.buffer.slice(this.at(name), this.at(name) + bytes));
  }

  /** The first elements of a block: numbers, or records with all or some of their fields. */
  elements(name, count, names) {
    const form = this.layout.forms[name],
      size = this.heap.sizeOf(form);
    const { fields } = this.heap.records[form];
    return Array.from({ length: count }, (_, n) => this.heap.fields(fields, this.at(name) + n * size, names));
  }

  get bytes() {
    return this.heap.bytes(this.address, this.layout.size);
  }
}

/** All that a loop works on, as one address. */
class Frame {
  constructor(heap, type) {
    this.heap = heap;
    this.type = type;
    this.address = heap.room(type.words * WORD);
  }

  /** Note numbers, addresses of blocks, [address, stride] of rows and places as batches of one or more, by name. */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      const [word] = this.type.fields[name];
      const words =
        typeof value === "number"
          ? [value]
          : Array.isArray(value)
            ? value
            : [value.address, value.layout.size, value.layout.size, ...Object.values(value.layout.offsets)];
      words.forEach((part, n) => this.heap.writeNumber("i8", this.address + WORD * (word + n), part));
    }
  }
}
