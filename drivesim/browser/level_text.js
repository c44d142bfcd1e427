// Takes the text of a level apart, as `drivesim.levels.reading`: the same words, the same errors at the same places.
// What may stand where are tables of the manifest: `texts.keys`, `texts.kinds` and the bounds.
const SPACES = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const LEADING = new RegExp(`^${SPACES}+`, "u"),
  TRAILING = new RegExp(`${SPACES}+$`, "u");
const HEAD_LINE = new RegExp(`^(${SPACES}*)([A-Za-z0-9_.]*)(${SPACES}*)(=?)(${SPACES}*)(.*)$`, "su");
const NUMBER = /^(0|-?[1-9][0-9]{0,9})$/;
const JUNCTION_NAME = /^junction([1-9][0-9]{0,2})$/,
  CLASS_NAME = /^[a-oq-uw-z]{1,3}$/;
const ARROWS = "^>v<",
  CLASS_LETTERS = "abcdefghijklmnoqrstuwxyz";
const LEVEL_WORD = new RegExp(
  "^(?:(?<bare>[.#])|(?<portal>@)?(?<junction>\\*[0-9]{0,3})?(?<passing>/)?(?<kind>[:=|!?\\[]?)" +
    "(?<headings>\\+|[\\^>v<]{1,4}))" +
    "(?<goals>(?:G[0-9]{0,3})*)" +
    `(?:E(?<ego>[0-9]{0,3})|p(?<walks>[\\^>v<])|(?<name>[${CLASS_LETTERS}]{1,3})(?<speed>[0-9]{0,3}))?$`,
);
const UNSAID = -1,
  NOTHING = 0,
  AN_EGO = 1,
  A_VEHICLE = 2,
  A_WALKER = 3;

/** A text that is no level: what is wrong, and in which line and column, from 1. */
class LevelError extends Error {
  constructor(message, line, column) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/** A piece of a text for a message: not too long, and what cannot be seen is spelt out. */
function shownText(text) {
  const signs = [...text],
    short = signs.length <= 40 ? signs : [...signs.slice(0, 40), "…"];
  return short.map((sign) => (sign === " " || !/[\p{C}\p{Z}]/u.test(sign) ? sign : spelt(sign))).join("");
}

function spelt(sign) {
  const code = sign.codePointAt(0),
    known = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (known) return known;
  const digits = code.toString(16);
  return code < 0x100
    ? `\\x${digits.padStart(2, "0")}`
    : code < 0x10000
      ? `\\u${digits.padStart(4, "0")}`
      : `\\U${digits.padStart(8, "0")}`;
}

/** What a word says; numbers as in `drivesim.core.texts.TOKEN`. */
function readWord(text, texts) {
  const match = LEVEL_WORD.exec(text),
    shown = shownText(text);
  if (!match) throw new Error(`\`${shown}\` is no word of a level; a word is ${texts.form}`);
  const part = match.groups;
  const token = {
    kind: part.bare === "#" ? OBSTACLE : OFF_ROAD,
    headings: 0,
    control: UNSAID,
    is_portal: Number(part.portal !== undefined),
    junction: UNSAID,
    is_passing: Number(part.passing !== undefined),
    goals: 0n,
    who: NOTHING,
    number: 0,
    pace: 0,
    name: "",
  };
  const number = (what, digits, greatest) => {
    const value = Number(digits || 0);
    if (value > greatest) throw new Error(`\`${shown}\` has the ${what} ${value}; the greatest is ${greatest}`);
    return value;
  };
  if (!part.bare) {
    [token.kind, token.control] = texts.kinds[part.kind];
    if (part.headings === "+") token.headings = 15;
    else {
      if (new Set(part.headings).size < part.headings.length) throw new Error(`\`${shown}\` has a heading twice`);
      token.headings = [...part.headings].reduce((mask, sign) => mask | (1 << ARROWS.indexOf(sign)), 0);
    }
  }
  for (const goal of part.goals.split("G").slice(1)) {
    const bit = 1n << BigInt(number("destination", goal, texts.max_destinations - 1));
    if (token.goals & bit) throw new Error(`\`${shown}\` names one destination twice`);
    token.goals |= bit;
  }
  if (part.junction) token.junction = number("junction", part.junction.slice(1), texts.max_junctions);
  if (part.ego !== undefined) return { ...token, who: AN_EGO, number: number("ego", part.ego, texts.max_egos - 1) };
  if (part.walks) return { ...token, who: A_WALKER, pace: ARROWS.indexOf(part.walks) };
  if (part.name)
    return { ...token, who: A_VEHICLE, name: part.name, pace: number("speed", part.speed, texts.top_speed) };
  return token;
}

/** What may stand behind a key of a head; undefined for what is no key. */
function keyNamed(name, { keys }) {
  const own = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);
  const dot = name.indexOf(".");
  if (dot < 0) return own(keys.options, name) ?? own(keys.level, name) ?? own(keys.lists, name);
  const group = name.slice(0, dot),
    rest = name.slice(dot + 1);
  if (["egos", "goals", "walkers"].includes(group)) return own(keys[group], rest);
  if (JUNCTION_NAME.test(group)) return own(keys.junction, rest);
  return CLASS_NAME.test(group) ? own(keys.class, rest) : undefined;
}

/** The value behind a key; undefined if it may not stand there. */
function valueOf(key, text) {
  const isIn = (part) => NUMBER.test(part) && Number(part) >= key.low && Number(part) <= key.high;
  if (key.words) {
    const word = text.length > 1 && text.at(0) === '"' && text.at(-1) === '"' ? text.slice(1, -1) : "";
    return Object.hasOwn(key.words, word) ? key.words[word] : undefined;
  }
  if (!key.is_list) return isIn(text) ? Number(text) : undefined;
  if (text.at(0) !== "[" || text.at(-1) !== "]") return undefined;
  const inner = text.slice(1, -1),
    parts = stripped(inner) ? inner.split(",").map(stripped) : [];
  return parts.every(isIn) ? parts.map(Number) : undefined;
}

function stripped(text) {
  return text.replace(LEADING, "").replace(TRAILING, "");
}

/** Take a text apart: tokens row by row, words, numbers of classes by name, and the head's entries by key. */
function splitText(text, texts) {
  if ([...text].length > texts.max_characters) {
    throw new LevelError(`${[...text].length} characters are too many; there may be ${texts.max_characters}`, 1, 1);
  }
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);
  const isBlank = lines.map((one) => /^[ \t]*$/.test(one));
  const begin = isBlank.indexOf(false),
    end = isBlank.lastIndexOf(false);
  if (begin < 0) throw new LevelError("there is nothing; a level is a table of words, such as `^E0 ^G0`", 1, 1);
  const blank = isBlank.indexOf(true, begin);
  if (blank < 0 || blank >= end) return readTable(lines.slice(begin, end + 1), begin, {}, texts);
  const head = readHead(lines.slice(begin, blank), begin, texts);
  const table = isBlank.indexOf(false, blank),
    other = isBlank.indexOf(true, table);
  if (other >= 0 && other < end) {
    throw new LevelError("a blank line within the table; one stands between the head and the table", other + 1, 1);
  }
  return readTable(lines.slice(table, end + 1), table, head, texts);
}

/** The entries {value, line, column} of a head, by key, behind `before` other lines. */
function readHead(lines, before, texts) {
  const head = {};
  lines.forEach((whole, n) => {
    const number = before + n + 1;
    if (whole.replace(LEADING, "").startsWith("#")) return;
    const [, blank, name, space, sign, gap, text] = HEAD_LINE.exec(whole.replace(TRAILING, ""));
    if (!name || !sign) {
      throw new LevelError(
        `\`${shownText(stripped(whole))}\` is no line of a head; a line is \`key = value\``,
        number,
        1,
      );
    }
    const key = keyNamed(name, texts),
      column = blank.length + 1;
    if (!key)
      throw new LevelError(`there is no key \`${shownText(name)}\`; there are ${texts.all_keys}`, number, column);
    const at = column + name.length + space.length + sign.length + gap.length,
      value = valueOf(key, text);
    if (value === undefined) {
      throw new LevelError(`${name} must be ${key.allowed}, got ${shownText(text) || "nothing"}`, number, at);
    }
    if (Object.hasOwn(head, name)) {
      throw new LevelError(`${name} is there twice, first in line ${head[name].line}`, number, 1);
    }
    head[name] = { value, line: number, column: at };
  });
  return head;
}

/** The words of a table, behind `before` other lines. */
function readTable(lines, before, head, texts) {
  if (lines.length > texts.max_rows) {
    throw new LevelError(
      `${lines.length} rows are too many; there may be ${texts.max_rows}`,
      before + texts.max_rows + 1,
      1,
    );
  }
  const kinds = new Map(),
    classes = {},
    words = [],
    tokens = [];
  lines.forEach((whole, n) => {
    const number = before + n + 1;
    let [index, column] = [0, 1]; // the former in units of UTF-16, the latter in characters
    const row = [...whole.matchAll(/[^ \t]+/g)].map((match) => {
      column += [...whole.slice(index, match.index)].length;
      ({ index } = match);
      return [match[0], column];
    });
    const expected = words.length ? words[0].length : Math.min(row.length, texts.max_cols);
    if (row.length !== expected) {
      const column = row.length > expected ? row[expected][1] : [...whole.replace(/[ \t]+$/, "")].length + 1;
      const what = words.length ? `the first has ${expected}` : `there may be ${texts.max_cols}`;
      throw new LevelError(`this row has ${row.length} words; ${what}`, number, column);
    }
    for (const [word, column] of row) {
      if (!kinds.has(word)) {
        try {
          const token = readWord(word, texts);
          if (token.who === A_VEHICLE) token.number = classes[token.name] ??= Object.keys(classes).length;
          kinds.set(word, token);
        } catch (error) {
          throw new LevelError(error.message, number, column);
        }
      }
      tokens.push({ ...kinds.get(word), line: number, column });
    }
    words.push(row.map(([word]) => word));
  });
  const found = { rows: words.length, cols: words[0].length, tokens, words, classes, head };
  checkNumbers(found, texts);
  return found;
}

/** Refuse more inhabitants than a world can tell apart. */
function checkNumbers({ tokens }, texts) {
  const kinds = [
    [[A_VEHICLE, AN_EGO], texts.max_vehicles, "vehicles, the egos included"],
    [[A_WALKER], texts.max_walkers, "walkers"],
  ];
  for (const [who, most, what] of kinds) {
    const found = tokens.filter((token) => who.includes(token.who));
    if (found.length > most) {
      throw new LevelError(
        `${found.length} ${what}, are too many; there may be ${most}`,
        found[most].line,
        found[most].column,
      );
    }
  }
}
