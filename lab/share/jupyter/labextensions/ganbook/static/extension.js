// Names for what a screen reader finds in a notebook and JupyterLab leaves without one: pictures
// below a cell get the cell's alternative text, sliders their label, and a film's buttons what they
// do. And on a dark page pictures are dimmed, because a white that is right on white hurts there.
// Written by hand, in the form in which JupyterLab loads an extension that was built.

const DARK = `body[data-jp-theme-light="false"] .jp-OutputArea img {
  filter: brightness(0.85);
  border-radius: 6px;
}`;

const BUTTONS = { "fa-play": "Play", "fa-pause": "Pause", "fa-stop": "Stop", "fa-retweet": "Repeat" };

const set = (node, name, value) => {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
};

function nameCell(cell) {
  const alt = cell.model.getMetadata("alt");
  if (alt) for (const img of cell.node.querySelectorAll(".jp-OutputArea img")) set(img, "alt", alt);
  for (const slider of cell.node.querySelectorAll(".widget-slider")) {
    const label = slider.querySelector(".widget-label").textContent;
    const readout = slider.querySelector(".widget-readout");
    for (const handle of slider.querySelectorAll(".noUi-handle")) {
      if (label) set(handle, "aria-label", label);
      if (readout) set(handle, "aria-valuetext", readout.textContent);
    }
  }
  for (const [icon, name] of Object.entries(BUTTONS))
    for (const found of cell.node.querySelectorAll(`.widget-play button > .${icon}`))
      set(found.parentNode, "aria-label", name);
}

function activate(app) {
  document.head.append(Object.assign(document.createElement("style"), { textContent: DARK }));
  let waiting = false;
  const nameAll = () => {
    waiting = false;
    for (const panel of app.shell.widgets("main"))
      for (const cell of panel.content?.widgets ?? []) if (cell.model?.type === "code") nameCell(cell);
  };
  const soon = () => {
    if (!waiting) setTimeout(nameAll, 200);
    waiting = true;
  };
  new MutationObserver(soon).observe(document.body, {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["src", "class"],
  });
}

const plugin = { id: "ganbook:extension", autoStart: true, activate };
const container = { init() {}, async get() { return () => ({ __esModule: true, default: plugin }); } };
window._JUPYTERLAB = Object.assign(window._JUPYTERLAB ?? {}, { ganbook: container });
