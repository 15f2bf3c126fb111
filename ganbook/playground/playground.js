// The page's side of ganbook.playground: draws the pictures that the kernel sends, and tells it
// what a hand does.

const PATIENCE = 2000; // milliseconds until a kernel that gives no answer is called late
const BETWEEN_WORDS = 4000; // milliseconds from one announcement to a screen reader to the next
const LATE = "Waiting for the kernel: a cell runs, or a step takes long";
const STOPPED = "The kernel has stopped. Run this cell again.";
const GONE = ["restarting", "autorestarting", "terminating", "dead"]; // states of a kernel
const KEYS = { r: "play", d: "d_step", g: "g_step", 0: "reset" };
const STROKE = 'stroke="currentColor" stroke-width="2"';
const THIN = 'fill="none" stroke="currentColor"';
const LAYERS = [
  ["real", "real", '<circle cx="8" cy="8" r="3.5" fill="currentColor"/>', "real"],
  ["fake", "generated", `<path d="M4 4l8 8M12 4l-8 8" ${STROKE}/>`, "fake"],
  ["surface", "D(x)",
    '<rect x="2" y="2" width="12" height="12" rx="2" fill="currentColor" opacity=".45"/>' +
    `<path d="M2 11L14 5" ${STROKE} stroke-dasharray="2 2"/>`, "critic"],
  ["arrows", "pull on G", `<path d="M2 8h11M9 4l4 4-4 4" ${THIN} stroke-width="1.5"/>`, ""],
  ["lattice", "latent grid", `<path d="M1 5h14M1 11h14M5 1v14M11 1v14" ${THIN}/>`, ""],
];
const MENUS = [
  ["data", "data", "What the generator is to imitate"],
  ["loss", "loss", "What both players minimise"],
  ["penalty", "penalty", "What holds the discriminator back"],
  ["d_lr", "learning rate D", "Adam's, for the discriminator"],
  ["lr", "learning rate G", "Adam's, for the generator"],
  ["d_steps", "D steps per G step", "Turns of the discriminator for each of the generator"],
  ["batch", "batch", "Points that each player sees in a turn"],
];

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "html") node.innerHTML = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// ---- Numbers and scales

const commas = new Intl.NumberFormat("en").format;
const short = (value) => (Math.abs(value) >= 1000 ? commas(value) : String(+value.toPrecision(3)));

/** Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    found.push(k * step);
  }
  return found;
}

const channels = (color) => [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
/** The same hue on a dark page. */
const lighter = (color) =>
  `rgb(${channels(color).map((value) => Math.round(value + 0.4 * (255 - value)))})`;

/**
 * A canvas as large as its box in real pixels, cleared, with the units of the page; null while it
 * has no size.
 */
function paper(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width || !height) return null;
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    Object.assign(canvas, { width: wide, height: high });
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// ---- The plane

function drawPlane(canvas, view, colors) {
  const sheet = paper(canvas);
  if (!sheet || !view.picture) return;
  const { context, width, height } = sheet;
  const [x, y, half] = view.picture.window;
  const toX = (value) => ((value - x) / half + 1) * (width / 2);
  const toY = (value) => (1 - (value - y) / half) * (height / 2);
  const on = new Set(view.picture.settings.layers);
  const { real, fake, surface, arrows, lattice } = view.layers;
  context.lineCap = context.lineJoin = "round";
  if (on.has("surface") && surface.length) {
    view.range = shadeRange(surface, view.picture.playing && view.range);
    drawSurface(context, surface, view.range, view.cells, width, height, colors);
  }
  if (on.has("lattice") && lattice.length) {
    context.strokeStyle = colors.text;
    context.globalAlpha = 0.4;
    context.lineWidth = 0.8;
    context.beginPath();
    for (let a = 0; a < view.lines; a++) {
      for (let b = 0; b < view.lines; b++) {
        const [across, along] = [2 * (a * view.lines + b), 2 * (b * view.lines + a)];
        context[b ? "lineTo" : "moveTo"](toX(lattice[across]), toY(lattice[across + 1]));
        view.bent[b] = along;
      }
      view.bent.forEach((k, b) => {
        context[b ? "lineTo" : "moveTo"](toX(lattice[k]), toY(lattice[k + 1]));
      });
    }
    context.stroke();
    context.globalAlpha = 1;
  }
  if (on.has("real")) {
    context.fillStyle = colors.real;
    context.globalAlpha = colors.dark ? 0.95 : 0.75;
    for (const points of [real, view.sketch]) {
      context.beginPath();
      for (let k = 0; k < points.length; k += 2) {
        context.moveTo(toX(points[k]) + 2.4, toY(points[k + 1]));
        context.arc(toX(points[k]), toY(points[k + 1]), 2.4, 0, 2 * Math.PI);
      }
      context.fill();
    }
  }
  if (on.has("fake")) {
    context.strokeStyle = colors.fake;
    context.globalAlpha = 0.9;
    context.lineWidth = 1.4;
    context.beginPath();
    for (let k = 0; k < fake.length; k += 2) {
      const [left, top] = [toX(fake[k]), toY(fake[k + 1])];
      context.moveTo(left - 2.6, top - 2.6);
      context.lineTo(left + 2.6, top + 2.6);
      context.moveTo(left + 2.6, top - 2.6);
      context.lineTo(left - 2.6, top + 2.6);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
  if (on.has("arrows") && arrows.length) drawArrows(context, fake, arrows, toX, toY, width, colors);
  if (view.cursor && document.activeElement === canvas) {
    const [left, top] = [toX(view.cursor[0]), toY(view.cursor[1])];
    context.strokeStyle = colors.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(left, top, 8, 0, 2 * Math.PI);
    for (const [a, b] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(left + 5 * a, top + 5 * b);
      context.lineTo(left + 13 * a, top + 13 * b);
    }
    context.stroke();
  }
}

/**
 * From which logit to which the shades go: nearly all that there are, but 8 at most, so that far
 * corners, where D is sure, leave some for the middle. It follows slowly, so that nothing flickers.
 */
function shadeRange(logits, before) {
  const sorted = Float32Array.from(logits).sort();
  let [low, high] = [0.02, 0.98].map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
  if (high - low > 8) {
    const middle = Math.min(high - 4, Math.max(low + 4, 0));
    [low, high] = [middle - 4, middle + 4];
  }
  const widen = Math.max(0, 0.4 - (high - low)) / 2;
  const now = [low - widen, high + widen];
  if (!before || !now.every(Number.isFinite)) return now;
  return now.map((value, k) => before[k] + 0.15 * (value - before[k]));
}

/** D's logit as a shade, the higher the stronger, and dots where it is 0: D(x) = 1/2. */
function drawSurface(context, logits, [low, high], cells, width, height, colors) {
  const [r, g, b] = channels(colors.shade);
  const small = (drawSurface.canvas ||= document.createElement("canvas"));
  small.width = small.height = cells;
  const image = new ImageData(cells, cells);
  const strength = colors.dark ? 90 : 130; // of 255
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) {
      const share = Math.min(1, Math.max(0, (logits[row * cells + column] - low) / (high - low)));
      const pixel = 4 * ((cells - 1 - row) * cells + column);
      image.data.set([r, g, b, 10 + strength * share], pixel);
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "low"; // bilinear: the better ones take many times as long
  context.drawImage(small, 0, 0, width, height);
  context.strokeStyle = colors.critic;
  context.lineWidth = 2;
  context.setLineDash([0.5, 5]);
  context.beginPath();
  // Marching squares: where two neighbouring cells disagree, the line passes between their middles.
  const placeX = (column) => ((column + 0.5) / cells) * width;
  const placeY = (row) => (1 - (row + 0.5) / cells) * height;
  for (let row = 0; row + 1 < cells; row++) {
    for (let column = 0; column + 1 < cells; column++) {
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
      const crossings = [];
      for (let k = 0; k < 4; k++) {
        const [from, to] = [corners[k], corners[(k + 1) % 4]];
        const [here, there] = [logits[from[0] * cells + from[1]], logits[to[0] * cells + to[1]]];
        if (here > 0 === there > 0) continue;
        const share = here / (here - there);
        const between = (a, b) => a + share * (b - a);
        crossings.push([
          placeX(between(from[1], to[1])),
          placeY(between(from[0], to[0])),
        ]);
      }
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        context.moveTo(...crossings[k]);
        context.lineTo(...crossings[k + 1]);
      }
    }
  }
  context.stroke();
  context.setLineDash([]);
}

/** Arrows at the first of the generated points; the longest tenth are cut to one length. */
function drawArrows(context, tails, pulls, toX, toY, width, colors) {
  const sizes = [];
  for (let k = 0; k < pulls.length; k += 2) sizes.push(Math.hypot(pulls[k], pulls[k + 1]));
  const longest = [...sizes].sort((a, b) => a - b)[Math.floor(0.9 * sizes.length)] || 1;
  context.strokeStyle = colors.text;
  context.lineWidth = 1.3;
  context.beginPath();
  sizes.forEach((size, k) => {
    const length = (Math.min(size / longest, 1) * width) / 14;
    if (!(length > 2)) return;
    const [ux, uy] = [pulls[2 * k] / size, -pulls[2 * k + 1] / size];
    const [fromX, fromY] = [toX(tails[2 * k]), toY(tails[2 * k + 1])];
    const [endX, endY, head] = [fromX + length * ux, fromY + length * uy, Math.min(5, length / 2)];
    context.moveTo(fromX, fromY);
    context.lineTo(endX, endY);
    context.moveTo(endX - head * (ux + 0.6 * uy), endY - head * (uy - 0.6 * ux));
    context.lineTo(endX, endY);
    context.lineTo(endX - head * (ux - 0.6 * uy), endY - head * (uy + 0.6 * ux));
  });
  context.stroke();
}

// ---- The curves

function drawCurves(canvas, view, colors) {
  const sheet = paper(canvas);
  if (!sheet || !view.picture) return;
  const { context, width, height } = sheet;
  const { modes, floor, turns } = view.picture;
  const { losses, measured } = view.layers;
  const column = (rows, k) =>
    Array.from({ length: rows.length / 3 }, (_, row) => rows[3 * row + k]);
  const [steps, times] = [column(losses, 0), column(measured, 0)];
  const panels = [
    { title: "loss", lines: [
      { name: "D", x: steps, y: column(losses, 1), color: colors.critic, dash: [2, 4], wide: 2.2 },
      { name: "G", x: steps, y: column(losses, 2), color: colors.fake, dash: [7, 4], wide: 1.8 }] },
    { title: "earth mover's distance to the data", zero: true, level: floor, lines: [
      { x: times, y: column(measured, 2), color: colors.text, dash: [], wide: 1.6 }] },
  ];
  if (modes) {
    const marks = [0, modes / 2, modes].filter(Number.isInteger);
    panels.splice(1, 0, { title: `modes found, of ${modes}`, zero: true, top: modes, marks, lines: [
      { x: times, y: column(measured, 1), color: colors.text, dash: [], wide: 1.6 }] });
  }
  const each = height / panels.length;
  context.font = `12px ${colors.font}`;
  panels.forEach((panel, k) => {
    const box = { left: 46, right: width - 22, top: each * k + 24, bottom: each * (k + 1) - 24 };
    drawPanel(context, panel, box, Math.max(1, turns[0]), colors);
  });
}

function drawPanel(context, { title, lines, zero, top, marks, level }, box, steps, colors) {
  const values = lines.flatMap((line) => line.y).filter(Number.isFinite).sort((a, b) => a - b);
  // A spike or two may leave the picture.
  let low = zero ? 0 : values[Math.floor(0.01 * values.length)] ?? 0;
  let high = top ?? values[Math.ceil(0.99 * values.length) - 1] ?? 1;
  if (!(high - low > 1e-9)) [low, high] = [zero ? 0 : low - 0.5, high + 0.5];
  const margin = 0.08 * (high - low);
  [low, high] = [zero ? 0 : low - margin, high + margin];
  const toX = (step) => box.left + (step / steps) * (box.right - box.left);
  const toY = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);

  context.fillStyle = colors.text;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(title, box.left, box.top - 13);
  context.fillStyle = colors.dim;
  context.strokeStyle = colors.line;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.beginPath();
  for (const tick of marks ?? ticks(low, high, 2)) {
    context.fillText(short(tick), box.left - 6, toY(tick));
    context.moveTo(box.left, Math.round(toY(tick)) + 0.5);
    context.lineTo(box.right, Math.round(toY(tick)) + 0.5);
  }
  context.stroke();
  context.textBaseline = "top";
  const stops = ticks(0, steps, 3);
  stops.forEach((tick, k) => {
    const last = k === stops.length - 1;
    context.textAlign = k === 0 ? "left" : last ? "right" : "center";
    const text = last ? `${short(tick)} steps` : short(tick);
    const half = context.measureText(text).width / 2;
    const end = last ? Math.min(box.right + 16, toX(tick) + half) : toX(tick);
    context.fillText(text, end, box.bottom + 6);
  });
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 3, box.right - box.left + 3, box.bottom - box.top + 6);
  context.clip();
  if (level != null) {
    context.strokeStyle = colors.real;
    context.lineWidth = 1.4;
    context.beginPath();
    context.moveTo(box.left, toY(level));
    context.lineTo(box.right, toY(level));
    context.stroke();
    context.fillStyle = colors.real;
    // Below the line, or where curves begin higher.
    const below = box.bottom - toY(level) > 15;
    context.textAlign = below ? "right" : "left";
    context.textBaseline = below ? "top" : "bottom";
    const at = below ? [box.right, toY(level) + 3] : [box.left + 6, toY(level) - 3];
    context.fillText("two samples of the data", ...at);
  }
  for (const line of lines) {
    context.strokeStyle = line.color;
    context.lineWidth = line.wide;
    context.setLineDash(line.dash);
    context.beginPath();
    line.x.forEach((step, k) => {
      if (Number.isFinite(line.y[k])) context.lineTo(toX(step), toY(line.y[k]));
    });
    context.stroke();
  }
  context.setLineDash([]);
  context.restore();
  context.textBaseline = "middle";
  context.textAlign = "left";
  const named = lines.filter((line) => line.name && line.y.length);
  const inside = (place) => Math.min(box.bottom - 4, Math.max(box.top + 4, place));
  const places = named.map((line) => inside(toY(line.y.at(-1))));
  if (places.length === 2 && Math.abs(places[0] - places[1]) < 14) {
    const [middle, order] = [(places[0] + places[1]) / 2, places[0] < places[1] ? 1 : -1];
    [places[0], places[1]] = [middle - 7 * order, middle + 7 * order];
  }
  named.forEach((line, k) => {
    context.fillStyle = line.color;
    context.fillText(line.name, box.right + 7, places[k]);
  });
}

// ---- The widget

function render({ model, el }) {
  const setup = model.get("setup");
  const id = Math.random().toString(36).slice(2);
  const view = {
    picture: null, acknowledged: 0, layers: {}, sketch: [], cursor: null,
    cells: setup.cells, lines: setup.lines, bent: new Array(setup.lines),
    heard: performance.now(), asked: performance.now(), stopped: false,
  };
  /** Once the kernel has stopped there is nobody to send to: JupyterLab would throw. */
  const send = (kind, rest = {}, buffers = []) =>
    view.stopped || model.send({ kind, ...rest }, undefined, buffers);
  /** Send what the kernel answers with a picture. */
  const ask = (kind, ...rest) => {
    view.asked = performance.now();
    view.used ||= kind !== "opened";
    send(kind, ...rest);
  };
  const set = (name, value) => ask("set", { name, value });

  const button = (kind, text, title, extra = "") => {
    const onclick = () => act(kind);
    return make("button", { type: "button", class: `gp-button ${extra}`, title, onclick }, text);
  };
  const play = button("play", "Run", "Run or pause (R)", "gp-primary");
  const dStep = button("d_step", "D step", "One step of the discriminator (D)");
  const gStep = button("g_step", "G step", "One step of the generator (G)");
  const reset = button("reset", "Reset", "Begin again, with your functions as they are now (0)");
  const wipe = button("wipe", "Clear drawing", "Remove all points that were drawn");
  for (const [one, key] of [[play, "R"], [dStep, "D"], [gStep, "G"], [reset, "0"]]) {
    one.setAttribute("aria-keyshortcuts", key);
  }
  const count = make("span", { class: "gp-count" });
  const speed = make("span", { class: "gp-speed" });
  const alert = make("div", { class: "gp-alert", role: "alert", hidden: "" });
  const spoken = make("span", { class: "gp-spoken", role: "status", "aria-live": "polite" });
  const shades = make("span", {
    class: "gp-shades", title: "Light is the lower, dark the higher; the dots are D(x) = 0.5",
  });
  const hint = make("div", { class: "gp-hint", hidden: "" });
  const plane = make("canvas", { class: "gp-plane", tabindex: "0", role: "img" });
  const curves = make("canvas", { class: "gp-curves", role: "img" });

  const menu = (name, text, title) => {
    const choose = () => set(name, setup[name][select.selectedIndex][1]);
    const select = make("select", { title, "aria-label": text, onchange: choose });
    select.append(...setup[name].map(([label]) => make("option", {}, label)));
    select.name = name;
    return select;
  };
  const menus = MENUS.map(([name, text, title]) => menu(name, text, title));
  const speeds = menu("speed", "speed", "How many steps a second, at most");
  const boxes = LAYERS.map(([name]) =>
    make("input", { type: "checkbox", name, onchange: chooseLayers }));
  const icon = (drawing, color) =>
    make("span", {
      class: "gp-icon", "aria-hidden": "true", style: color ? `color: var(--gp-${color})` : "",
      html: `<svg width="16" height="16" viewBox="0 0 16 16">${drawing}</svg>`,
    });
  const root = make("div", { class: "gp", role: "group", "aria-label": "GAN playground" },
    make("div", { class: "gp-bar" }, play, dStep, gStep, reset,
      make("label", { class: "gp-inline" }, "speed", speeds),
      make("span", { class: "gp-status" }, count, speed), spoken),
    make("div", { class: "gp-menus" },
      ...MENUS.map(([, text], k) => make("label", {}, make("span", {}, text), menus[k]))),
    alert,
    make("div", { class: "gp-main" }, make("div", { class: "gp-frame" }, plane, hint),
      make("div", { class: "gp-layers" },
        ...LAYERS.map(([name, text, drawing, color], k) => {
          const label = make("label", {}, boxes[k], icon(drawing, color), text);
          return name === "surface" ? make("span", { class: "gp-shaded" }, label, shades) : label;
        }),
        wipe),
      curves));
  el.append(root);

  function act(kind) {
    if (view.stopped) return;
    if (kind === "play") ask(view.picture?.playing ? "pause" : "play");
    else if (kind === "wipe") sketch([], true);
    else ask(kind);
  }

  function chooseLayers() {
    set("layers", boxes.filter((box) => box.checked).map((box) => box.name));
  }

  // Pictures: what has come last is drawn when the page draws next; what came between is not drawn.

  let waiting = 0;
  const drawnAt = [];
  let colors;

  function readColors() {
    const style = getComputedStyle(root);
    const variable = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const dark = document.body.dataset.jpThemeLight === "false";
    const shown = (color) => (dark ? lighter(color) : color);
    const players = Object.entries(setup.colors).map(([name, color]) => [name, shown(color)]);
    for (const [name, color] of players) root.style.setProperty(`--gp-${name}`, color);
    return {
      ...Object.fromEntries(players),
      dark,
      shade: setup.colors.critic,
      text: variable("--jp-ui-font-color1", "#222"),
      dim: variable("--jp-ui-font-color2", "#666"),
      line: variable("--jp-border-color2", "#ddd"),
      font: variable("--jp-ui-font-family", "sans-serif"),
    };
  }

  function receive(message, buffers) {
    if (message.kind !== "picture") return;
    const names = ["real", "fake", "surface", "arrows", "lattice", "losses", "measured"];
    buffers.forEach((buffer, k) => {
      const bytes = buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
      view.layers[names[k]] = new Float32Array(bytes);
    });
    Object.assign(view, { picture: message, sketch: [], heard: performance.now() });
    if (document.hidden) acknowledge();
    else schedule();
  }

  // The kernel waits where it is too far ahead. Every message makes JupyterLab say "busy" and
  // "idle", which costs it more than drawing does: so, not one for each picture.
  function acknowledge() {
    const { number, playing } = view.picture;
    const soon = number > view.acknowledged && number < view.acknowledged + setup.ahead / 2;
    if (!playing || soon) return;
    view.acknowledged = number;
    send("seen", { number });
  }

  function schedule() {
    waiting ||= requestAnimationFrame(draw);
  }

  function draw(now) {
    waiting = 0;
    if (!view.picture || !root.isConnected) return;
    colors ??= readColors();
    drawPlane(plane, view, colors);
    if (view.picture.number !== view.seen) {
      view.seen = view.picture.number;
      acknowledge();
      drawnAt.push(now);
    }
    while (drawnAt.length && drawnAt[0] < now - 1000) drawnAt.shift();
    // Words and curves need not move as often as points.
    const { playing, error, notice, settings, waits } = view.picture;
    const state = JSON.stringify([playing, error, notice, settings, waits, view.late]);
    if (playing && state === view.state && now - view.told < 120) return;
    Object.assign(view, { state, told: now });
    colors = readColors();
    drawCurves(curves, view, colors);
    show(view.picture);
  }

  function show({ playing, error, notice, turns, pace, settings, modes, waits, latent }) {
    if (view.stopped) return;
    play.textContent = playing ? "Pause" : "Run";
    root.classList.toggle("gp-playing", playing);
    count.textContent = `${commas(turns[0])} steps of G, ${commas(turns[1])} of D`;
    const fast = playing && pace != null;
    speed.textContent = view.late ? LATE : notice ||
      (fast ? `${Math.round(pace)} steps/s, ${drawnAt.length} pictures/s` : "");
    const shown = { steps: turns[0], turns: turns[1], pace: pace ?? "", pictures: drawnAt.length };
    Object.assign(root.dataset, shown);
    alert.hidden = !error;
    if (alert.textContent !== error) alert.textContent = error;
    const drawing = settings.data === setup.drawn;
    wipe.hidden = !drawing;
    hint.hidden = !(drawing && waits);
    hint.textContent = "Draw here, with mouse, pen or finger. By keyboard: arrow keys move, Space"
      + " drops points.";
    plane.classList.toggle("gp-drawing", drawing);
    plane.setAttribute("role", drawing ? "application" : "img");
    for (const step of [play, dStep, gStep]) step.disabled = waits;
    for (const select of [...menus, speeds]) {
      const chosen = setup[select.name].findIndex(([, value]) => value === settings[select.name]);
      if (document.activeElement !== select || !playing) select.selectedIndex = chosen;
    }
    const sure = (view.range ?? []).map((logit) => (1 / (1 + Math.exp(-logit))).toFixed(2));
    shades.textContent = settings.layers.includes("surface") ? sure.join(" to ") : "";
    boxes.forEach((box) => (box.checked = settings.layers.includes(box.name)));
    boxes.at(-1).disabled = latent !== 2;
    describe(turns, modes, drawing);
    const pause = `${notice || "Paused"}: ${count.textContent}${found(modes)}`;
    say(view.late ? LATE : error ? "" : playing ? "Running" : pause); // an error speaks for itself
  }

  /** What was measured last, in words. */
  function found(modes) {
    const [counted, distance] = view.layers.measured.slice(-2);
    const words = modes && counted >= 0 ? `, ${counted} of ${modes} modes` : "";
    return distance >= 0 ? `${words}, earth mover's distance ${short(distance)}` : words;
  }

  let described = -1e9;
  function describe([step], modes, drawing) {
    if (performance.now() - described < 1000) return;
    described = performance.now();
    const draws = drawing ? "Arrow keys move a cursor, Space drops points. " : "";
    const points = `${draws}Real and generated points after ${step} steps${found(modes)}`;
    plane.setAttribute("aria-label", points);
    curves.setAttribute("aria-label", `Curves over ${step} steps: losses${found(modes)}`);
  }

  // A screen reader hears what the playground does, but not each step of it.

  let next = "";
  let speaking = 0;
  function say(text) {
    next = text;
    if (!view.used) return; // a page with several playgrounds opens in silence
    speaking ||= setTimeout(() => {
      speaking = 0;
      if (spoken.textContent !== next) spoken.textContent = next;
    }, BETWEEN_WORDS);
  }

  // The kernel may be late, or gone.

  const clock = setInterval(() => {
    const { playing } = view.picture ?? {};
    const since = Math.max(view.heard, playing ? 0 : view.asked);
    const waits = playing || view.asked > view.heard;
    const late = waits && performance.now() - since > PATIENCE && !view.stopped;
    if (late === Boolean(view.late)) return;
    view.late = late;
    if (view.picture) schedule();
    else speed.textContent = late ? LATE : "";
  }, 500);

  const kernel = model.widget_manager?.kernel; // as JupyterLab and Notebook 7 have it
  const onStatus = (_, status) => GONE.includes(status) && stop();
  kernel?.statusChanged?.connect(onStatus);
  kernel?.disposed?.connect(stop);

  function stop() {
    view.stopped = true;
    play.textContent = "Run";
    root.classList.remove("gp-playing");
    root.dataset.pace = speed.textContent = "";
    alert.hidden = false;
    alert.textContent = STOPPED;
    for (const control of root.querySelectorAll("button, select, input")) control.disabled = true;
    clearTimeout(speaking);
    spoken.textContent = ""; // the alert speaks
  }

  // Drawing, by pointer and by keyboard

  function sketch(points, anew = false) {
    view.sketch.push(...points);
    ask("draw", { anew }, [new Float32Array(points).buffer]);
    schedule();
  }

  /** A few points around a place: [x, y, x, y, ...]. */
  function drop([x, y], some) {
    const { random } = Math;
    const spread = () => 0.04 * view.picture.window[2] * (random() + random() + random() - 1.5);
    return Array.from({ length: some }, () => [x + spread(), y + spread()]).flat();
  }

  function placeOf(event) {
    const { left, top, width, height } = plane.getBoundingClientRect();
    const [x, y, half] = view.picture.window;
    const [right, down] = [(event.clientX - left) / width, (event.clientY - top) / height];
    return [x + half * (2 * right - 1), y + half * (1 - 2 * down)];
  }

  const canDraw = () => !view.stopped && view.picture?.settings.data === setup.drawn;
  let stroke = null;
  plane.addEventListener("pointerdown", (event) => {
    if (!canDraw() || event.button) return;
    plane.setPointerCapture(event.pointerId);
    stroke = { last: placeOf(event), points: drop(placeOf(event), 6), sent: event.timeStamp };
  });
  plane.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const here = placeOf(event);
    const [dx, dy] = [here[0] - stroke.last[0], here[1] - stroke.last[1]];
    const stops = Math.floor(Math.hypot(dx, dy) / (0.02 * view.picture.window[2]));
    for (let k = 1; k <= stops; k++) {
      const at = [stroke.last[0] + (dx * k) / stops, stroke.last[1] + (dy * k) / stops];
      stroke.points.push(...drop(at, 2));
    }
    if (stops) stroke.last = here;
    if (event.timeStamp - stroke.sent > 100) flush(event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    plane.addEventListener(end, (event) => {
      if (stroke) flush(event);
      stroke = null;
    });
  }

  function flush(event) {
    if (stroke.points.length) sketch(stroke.points);
    Object.assign(stroke, { points: [], sent: event.timeStamp });
  }

  /** Let the notebook have the keys: I twice, for one, is its stop button. */
  function giveKeysBack() {
    root.closest(".jp-Cell")?.focus({ preventScroll: true });
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  root.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Escape") return giveKeysBack();
    if (event.shiftKey && key === "Enter") return;
    event.stopPropagation(); // to the notebook, D pressed twice would mean: delete the cell
    if (target.tagName === "SELECT") return; // where letters choose
    if (target === plane && canDraw() && (ARROWS[key] || key === " ")) {
      event.preventDefault();
      const [x, y, half] = view.picture.window;
      view.cursor ||= [x, y];
      if (key === " ") return sketch(drop(view.cursor, 12));
      const move = (value, by, middle) =>
        Math.min(middle + half, Math.max(middle - half, value + by * 0.06 * half));
      const [right, up] = ARROWS[key];
      view.cursor = [move(view.cursor[0], right, x), move(view.cursor[1], up, y)];
      return schedule();
    }
    const kind = KEYS[key.toLowerCase()];
    if (kind && !event.repeat) act(kind);
  });
  for (const change of ["focus", "blur"]) {
    plane.addEventListener(change, () => {
      if (canDraw()) view.cursor ||= view.picture.window.slice(0, 2);
      schedule();
    });
  }

  const themes = new MutationObserver(() => {
    schedule();
    setTimeout(schedule, 500); // when the theme's style sheet has come
  });
  const attributeFilter = ["data-jp-theme-light", "data-jp-theme-name"];
  themes.observe(document.body, { attributes: true, attributeFilter });
  const sizes = new ResizeObserver(schedule);
  sizes.observe(root);
  model.on("msg:custom", receive);
  ask("opened", { view: id });

  return () => {
    clearInterval(clock);
    clearTimeout(speaking);
    kernel?.statusChanged?.disconnect(onStatus);
    kernel?.disposed?.disconnect(stop);
    themes.disconnect();
    sizes.disconnect();
    cancelAnimationFrame(waiting);
    model.off("msg:custom", receive);
    try {
      send("closed", { view: id });
    } catch {
      // the kernel, or its half of the widget, went first
    }
  };
}

export default { render };
