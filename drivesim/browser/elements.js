const at = (id) => document.getElementById(id);

/** The row of an action among the driver's scores. */
function scoreRow(name) {
  const parts = ["name", "bar", "number"].map((part) => Object.assign(element("span"), { className: part }));
  parts[0].textContent = name;
  parts[1].append(element("i"));
  return Object.assign(element("div", ...parts), { className: "row", role: "group", ariaLabel: name });
}

/** A driver's scores as bars, with the action that it takes next. */
function showScores(decision, names) {
  const scores = decision?.scores ?? names.map(() => 0),
    low = Math.min(...scores),
    high = Math.max(...scores);
  names.forEach((name, action) => {
    const row = at("scores").children[action],
      score = scores[action],
      isChosen = decision?.action === action;
    const share = decision?.is_probability ? score : (score - low) / (high - low || 1);
    row.classList.toggle("chosen", isChosen);
    row.ariaLabel = `${name}${isChosen ? ", chosen" : ""}`;
    row.querySelector("i").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
    row.querySelector(".number").textContent = !decision
      ? MISSING
      : decision.is_probability
        ? `${(100 * score).toFixed(1)} %`
        : signed(score);
  });
  at("scale").textContent = !decision
    ? "It has nothing to decide here."
    : decision.is_probability
      ? "Probability of each action; ▸ is the one that it takes."
      : "Expected return of each action; ▸ is the one that it takes.";
}

/** Give a file to whoever looks at the page. */
function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Ask what the browser keeps for this page; undefined where it keeps nothing. */
function browserKeeps(ask) {
  try {
    return ask(localStorage);
  } catch {
    return undefined; // it is switched off, or full
  }
}
