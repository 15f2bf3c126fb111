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

// The hash that sources/build.py stores beside the code: FNV-1a, of UTF-8.
const fnv = (text) =>
  new TextEncoder()
    .encode(text)
    .reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5)
    .toString(16)
    .padStart(8, "0");

const isEdited = (cell) => {
  const built = cell.model.getMetadata("built");
  return built !== undefined && built !== fnv(cell.model.sharedModel.getSource());
};

// What a picture shows: a moving one says it itself, in the line below it; a film shows a frame.
function textOf(img, alt) {
  const widget = img.closest(".widget-vbox");
  const line = widget?.querySelector('[role="status"]');
  if (line) return line.textContent;
  const frame = widget?.querySelector(".widget-play") && widget.querySelector(".widget-readout")?.textContent;
  return frame ? `Frame ${frame}. ${alt}`.trim() : alt;
}

function nameSlider(slider) {
  const label = slider.querySelector(".widget-label")?.textContent.trim() || "slider";
  const readout = slider.querySelector(".widget-readout")?.textContent ?? "";
  const handles = [...slider.querySelectorAll(".noUi-handle")];
  const values = handles.length > 1 ? readout.split(/\s*–\s*/) : [readout];
  handles.forEach((handle, k) => {
    set(handle, "aria-label", handles.length > 1 ? `${label}, ${["from", "to"][k]}` : label);
    if (values[k]) set(handle, "aria-valuetext", values[k]);
  });
}

// `edited`: whether this cell's code or that of one above is not what the course was built with.
function nameCell(cell, edited) {
  let alt = cell.model.getMetadata("alt") ?? "";
  if (alt && edited) alt = `Before the code was changed: ${alt}`;
  for (const img of cell.node.querySelectorAll(".jp-OutputArea img")) {
    const text = textOf(img, alt);
    if (text) set(img, "alt", text);
  }
  cell.node.querySelectorAll(".widget-slider").forEach(nameSlider);
  for (const [icon, name] of Object.entries(BUTTONS))
    for (const found of cell.node.querySelectorAll(`.widget-play button > .${icon}`))
      set(found.parentNode, "aria-label", name);
}

function nameNotebook(cells) {
  let edited = false;
  for (const cell of cells) {
    if (cell.model?.type !== "code") continue;
    edited ||= isEdited(cell);
    nameCell(cell, edited);
  }
}

function activate(app) {
  document.head.append(Object.assign(document.createElement("style"), { textContent: DARK }));
  let waiting = false;
  const nameAll = () => {
    waiting = false;
    for (const panel of app.shell.widgets("main")) nameNotebook(panel.content?.widgets ?? []);
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
