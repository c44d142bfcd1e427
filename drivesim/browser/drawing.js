// What brushes do to the words of a level.
const PAINTABLE = {
  ":": "Shoulder",
  "=": "Crosswalk",
  "|": "Signal line",
  "!": "Stop line",
  "?": "Give-way line",
  "[": "Parking bay",
};

/** The canonical word of what `readWord` has read. */
function wordText(token, { kinds, max_destinations: most }) {
  const goals = Array.from({ length: most }, (_, n) => ((token.goals >> BigInt(n)) & 1n ? `G${n}` : "")).join("");
  const who = {
    [NOTHING]: "",
    [AN_EGO]: `E${token.number}`,
    [A_VEHICLE]: `${token.name}${token.pace}`,
    [A_WALKER]: `p${ARROWS[token.pace & 3]}`,
  };
  if (token.kind === OFF_ROAD || token.kind === OBSTACLE)
    return `${token.kind === OBSTACLE ? "#" : "."}${goals}${who[token.who]}`;
  const sign = Object.keys(kinds).find((one) => kinds[one][0] === token.kind && kinds[one][1] === token.control) ?? "";
  const junction = token.junction === UNSAID ? "" : `*${token.junction || ""}`;
  const signs = token.headings === 15 ? "+" : [...ARROWS].filter((_, n) => (token.headings >> n) & 1).join("");
  const marks = `${token.is_portal ? "@" : ""}${junction}${token.is_passing ? "/" : ""}`;
  return `${marks}${sign}${signs}${goals}${who[token.who]}`;
}

/** The lines above the table of a text that was taken apart. */
function headText(text, { tokens }) {
  return text
    .split(/\r\n|\r|\n/)
    .slice(0, tokens[0].line - 1)
    .filter((line) => line.trim())
    .join("\n");
}

/** A table of words with its columns in line. */
function alignedText(words) {
  const widths = words[0].map((_, col) => Math.max(...words.map((row) => row[col].length)));
  return `${words
    .map((row) =>
      row
        .map((word, col) => word.padEnd(widths[col]))
        .join(" ")
        .trimEnd(),
    )
    .join("\n")}\n`;
}

const isRoad = ({ kind }) => kind !== OFF_ROAD && kind !== OBSTACLE;
const NO_TOKEN = {
  headings: 0,
  control: UNSAID,
  is_portal: 0,
  junction: UNSAID,
  is_passing: 0,
  goals: 0n,
  who: NOTHING,
  number: 0,
  pace: 0,
  name: "",
};

/** Put a vehicle of a class on a road; once more, a faster one. */
function paintVehicle(token, { letter, topSpeed }) {
  if (!isRoad(token)) return token;
  const pace = token.who === A_VEHICLE && token.name === letter ? (token.pace + 1) % (topSpeed + 1) : 0;
  return { ...token, who: A_VEHICLE, name: letter, pace };
}

/** The letter of the class of vehicles of which a head says nothing but this top speed; else one that is not used. */
function letterOfClass(topSpeed, head, classes) {
  const lines = head.split("\n"),
    said = (letter) => lines.filter((one) => one.startsWith(`${letter}.`));
  const isIt = (letter) => said(letter).length === 1 && said(letter)[0] === `${letter}.top_speed = ${topSpeed}`;
  const isFree = (letter) => said(letter).length === 0 && !Object.hasOwn(classes, letter);
  return [...CLASS_LETTERS].find(isIt) ?? [...CLASS_LETTERS].find(isFree);
}

/**
 * Brushes by name: their label, a hint, and what they make of a token. `heading` is the way in which one draws, `mask`
 * the ways in which the stroke comes and goes, `isNew` whether there was no road before it, `isFirst` where it begins.
 */
const BRUSHES = {
  road: {
    label: "Road",
    hint: "Draw along the way that it leads. Where it crosses another one there will be a junction.",
    paint(token, { mask, isNew, isFirst }) {
      if (isNew)
        return { ...NO_TOKEN, goals: token.goals, who: token.who, number: token.number, kind: LANE, headings: mask };
      const crosses = !isFirst && (token.headings & ~mask) !== 0;
      return {
        ...token,
        headings: token.headings | mask,
        junction: crosses && token.kind === LANE ? Math.max(token.junction, 0) : token.junction,
      };
    },
  },
  verge: { label: "Erase", hint: "Verge, and nobody there.", paint: () => ({ ...NO_TOKEN, kind: OFF_ROAD }) },
  obstacle: { label: "Obstacle", hint: "Nobody can pass here.", paint: () => ({ ...NO_TOKEN, kind: OBSTACLE }) },
  open: {
    label: "Open",
    hint: "Ground that may be left in every direction.",
    paint: (token) => ({ ...token, kind: LANE, control: UNSAID, headings: 15 }),
  },
  ...Object.fromEntries(
    Object.entries(PAINTABLE).map(([sign, label]) => [
      sign,
      {
        label,
        hint: `${label}: on a road, its direction stays.`,
        paint: (token, { heading, kinds }) => ({
          ...token,
          kind: kinds[sign][0],
          control: kinds[sign][1],
          headings: token.headings || 1 << heading,
          junction: UNSAID,
        }),
      },
    ]),
  ),
  junction: {
    label: "Junction",
    hint: "A cell of a junction: cars wait before it for their turn.",
    paint: (token) => (isRoad(token) ? { ...token, junction: token.junction === UNSAID ? 0 : UNSAID } : token),
  },
  passing: {
    label: "Overtaking",
    hint: "Those who come the other way may overtake here.",
    paint: (token) => (isRoad(token) ? { ...token, is_passing: 1 - token.is_passing } : token),
  },
  portal: {
    label: "Portal",
    hint: "At an edge of the map: traffic that leaves here comes in again on the other side.",
    paint: (token) => (isRoad(token) ? { ...token, is_portal: 1 - token.is_portal } : token),
  },
  goal: {
    label: "Goal",
    hint: "Where you are to arrive.",
    paint: (token) => (isRoad(token) ? { ...token, goals: token.goals ? 0n : 1n } : token),
  },
  ego: {
    label: "You",
    hint: "Where you start; there is one of you.",
    paint: (token) => (isRoad(token) ? { ...token, who: AN_EGO, number: 0 } : token),
  },
  car: {
    label: "Car",
    hint: "Somebody else, on a road that never ends, through portals if need be; once more for a faster one.",
    topSpeed: 2,
    paint: paintVehicle,
  },
  parked: { label: "Parked car", hint: "It stays where it is.", topSpeed: 0, paint: paintVehicle },
  walker: {
    label: "Walker",
    hint: "Beside a crosswalk; once more to turn round.",
    paint: (token, { heading }) => ({
      ...token,
      who: A_WALKER,
      pace: token.who === A_WALKER ? (token.pace + 1) & 3 : heading,
    }),
  },
};
const TOGGLES = ["junction", "passing", "portal", "goal", "car", "parked", "walker"]; // a cell is painted once in a stroke
