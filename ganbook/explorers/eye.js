// The page's side of ganbook.explorers.eye: shows each image for its time, and takes the answers.

const KEYS = { r: 0, ArrowLeft: 0, g: 1, ArrowRight: 1 };
const SCALE = 6; // screen pixels along the side of a pixel
const SMALL = 2; // the same for the ones told wrongly, at the end
const BREAK = 350; // milliseconds from an answer to the next image

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function render({ model, el }) {
  const { looks, seconds, height, width } = model.get("setup");
  const canvas = make("canvas", { role: "img", "aria-label": "one image, real or generated" });
  const start = make("button", { "aria-keyshortcuts": "Space" }, "Start (Space)");
  const real = make("button", { "aria-keyshortcuts": "R" }, "real (R)");
  const fake = make("button", { "aria-keyshortcuts": "G" }, "generated (G)");
  const line = make("p", { role: "status", style: "margin: 2px 0" });
  const bar = make("div", { style: "display: flex; gap: 8px; margin: 4px 0" }, start, real, fake);
  const root = make("div", { tabindex: "0", class: "ganbook-eye", style: "padding: 4px" });
  root.append(canvas, bar, line);
  el.append(root);
  for (const button of [start, real, fake]) button.style.padding = "4px 12px";
  let waiting = false; // for an answer
  let timer = 0;

  function draw(indices, scale) {
    const bytes = model.get("pixels"); // a DataView
    const columns = Math.max(1, Math.min(indices.length, 10));
    const rows = Math.max(1, Math.ceil(indices.length / columns));
    canvas.width = columns * (width + 1) * scale;
    canvas.height = rows * (height + 1) * scale;
    const context = canvas.getContext("2d");
    context.fillStyle = "#808080";
    context.fillRect(0, 0, canvas.width, canvas.height);
    indices.forEach((index, place) => {
      const [left, top] = [place % columns, Math.floor(place / columns)];
      for (let k = 0; k < height * width; k++) {
        const shade = bytes.getUint8(index * height * width + k);
        const x = left * (width + 1) + (k % width);
        const y = top * (height + 1) + Math.floor(k / width);
        context.fillStyle = `rgb(${shade}, ${shade}, ${shade})`;
        context.fillRect(x * scale, y * scale, scale, scale);
      }
    });
  }

  function hide() {
    draw([], SCALE);
  }

  function look() {
    clearTimeout(timer);
    draw([model.get("answers").length], SCALE);
    waiting = true;
    update();
    timer = setTimeout(hide, 1000 * seconds);
  }

  function answer(kind) {
    if (!waiting) return;
    waiting = false;
    clearTimeout(timer);
    hide();
    const answers = [...model.get("answers"), kind];
    model.set("answers", answers);
    model.save_changes();
    update();
    if (answers.length < looks) timer = setTimeout(look, BREAK);
  }

  function begin() {
    if (waiting) return;
    if (model.get("answers").length < looks) return look();
    model.set("rounds", model.get("rounds") + 1); // the kernel deals anew
    model.save_changes();
  }

  function update() {
    const done = model.get("answers").length === looks;
    start.textContent = done ? "Another round (Space)" : "Start (Space)";
    start.disabled = waiting;
    real.disabled = fake.disabled = !waiting;
    line.textContent = model.get("line");
  }

  function showWrong() {
    const wrong = model.get("wrong");
    if (wrong.length) draw(wrong, SMALL);
    canvas.setAttribute(
      "aria-label",
      wrong.length ? `the ${wrong.length} images told wrongly` : "one image, real or generated",
    );
  }

  start.addEventListener("click", () => { begin(); root.focus(); });
  real.addEventListener("click", () => { answer(0); root.focus(); });
  fake.addEventListener("click", () => { answer(1); root.focus(); });
  root.addEventListener("keydown", (event) => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Escape") return root.closest(".jp-Cell")?.focus({ preventScroll: true });
    if (key === "Tab" || (event.shiftKey && key === "Enter")) return;
    event.stopPropagation(); // to the notebook a letter is a command
    if (key === " " && event.target === root) {
      event.preventDefault();
      if (!event.repeat) begin();
    }
    const kind = KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (kind !== undefined && !event.repeat) {
      event.preventDefault();
      answer(kind);
    }
  });
  for (const name of ["line", "answers"]) model.on(`change:${name}`, update);
  model.on("change:wrong", showWrong);
  model.on("change:pixels", hide);
  hide();
  update();
  showWrong();
  return () => {
    clearTimeout(timer);
    for (const name of ["line", "answers", "wrong", "pixels"]) model.off(`change:${name}`);
  };
}

export default { render };
