/** Read the page's data, load the kernels, and open the part of the page on which one drives. */
async function open() {
  const data = JSON.parse(at("data").textContent),
    { manifest } = data;
  for (const { environments } of manifest.roads) Object.values(environments).forEach(decoded);
  decoded(manifest.custom.base);
  const kernels = await Kernels.load(fromBase64(data.module), manifest);
  const stage = await Stage.load(at("picture"), data.art);
  const page = new DrivePage(data, kernels, stage);
  const editor = new Editor(data, kernels, page, stage);
  const tabs = { drive: page, draw: editor };
  const turnTo = (name) => {
    page.game.pause();
    for (const id of Object.keys(tabs)) {
      at(id).hidden = id !== name;
      at(`tab-${id}`).setAttribute("aria-selected", String(id === name));
    }
    tabs[name].fit();
    page.showNow();
    if (name === "draw") at("task").textContent = "Draw a road and drive it.";
    else page.showTask();
  };
  for (const id of Object.keys(tabs)) at(`tab-${id}`).addEventListener("click", () => turnTo(id));
  editor.drive = (text) => {
    turnTo("drive");
    page.driveText(text);
  };
  page.begin();
  window.addEventListener("resize", () => Object.values(tabs).forEach((tab) => tab.fit()));
  window.drivesim = { page, editor, kernels, turnTo };
}

/** The options of an environment as bytes. */
function decoded(environment) {
  environment.options = fromBase64(environment.options);
}

open().catch((error) => {
  at("trouble").hidden = false;
  at("trouble").textContent =
    `This browser cannot show the page: ${error.message}. A recent Chrome, Edge, Firefox or Safari can.`;
  throw error;
});
