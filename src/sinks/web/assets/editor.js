// Zones and lines drawn over the live picture, and saved in the configuration. A shape is what the
// configuration says of it, by its keys; coordinates are shares of the frame.

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDE = 1000;             // the sheet's own units from left to right
const STEP = 0.01, FINE = 0.001; // what an arrow key moves, without and with Shift
const MOST_STEPS = 100;        // that can be undone
const NEAR_PX = 14;            // a click so near the first point closes a zone

const POINTS = { zones: "polygon_norm", lines: "line_norm" };
const ANCHORS = ["bottom_center", "center", "top_center"];
const FIELDS = {
  zones: [
    { key: "kind", name: "Kind", options: ["include", "exclude"] },
    { key: "classes", name: "Classes", hint: "all", list: true },
    { key: "anchor", name: "Inside is its", options: ANCHORS },
    { key: "loiter_secs", name: "Loitering after, s", number: true },
    { key: "stop_secs", name: "Stopped after, s", number: true },
    { key: "max_occupancy", name: "Too many from", number: true },
    { key: "queue_length", name: "A queue from", number: true },
    { key: "congestion_occupancy", name: "Congested from", number: true },
    { key: "congestion_kmh", name: "… and at most, km/h", number: true },
    { key: "congestion_sizes_per_sec", name: "… or at most, lengths per s", number: true },
    { key: "congestion_secs", name: "… for, s", number: true },
  ],
  lines: [
    { key: "direction", name: "Allowed", options: ["both", "in", "out"] },
    { key: "classes", name: "Classes", hint: "all", list: true },
    { key: "anchor", name: "Crosses with its", options: ANCHORS },
    { key: "hysteresis", name: "Beyond the line by, sizes", number: true },
  ],
};

const find = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...inside);
  return element;
};
const draw = (tag, attributes) => {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};
const clip = (value) => Math.round(Math.min(Math.max(value, 0), 1) * 1e4) / 1e4;
const copy = (value) => JSON.parse(JSON.stringify(value));

// ---- geometry

const turn = ([ax, ay], [bx, by], [cx, cy]) => Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));
const between = ([ax, ay], [bx, by], [x, y]) =>
  Math.min(ax, bx) <= x && x <= Math.max(ax, bx) && Math.min(ay, by) <= y && y <= Math.max(ay, by);

function meet(a, b, c, d) {
  const [one, two, three, four] = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
  if (one !== two && three !== four) return true;
  return (!one && between(a, b, c)) || (!two && between(a, b, d)) || (!three && between(c, d, a)) || (!four && between(c, d, b));
}

export function crossesItself(points) {
  const count = points.length;
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      if (j === i + 1 || (i === 0 && j === count - 1)) continue; // neighbours share a corner
      if (meet(points[i], points[i + 1], points[j], points[(j + 1) % count])) return true;
    }
  }
  return false;
}

// ---- the editor

export function setUpEditor({ api, csrf, camera, ink, live, saved }) {
  const sheet = find("sheet");
  let shapes = [], chosen = -1, revision = null, classes = [], clean = "", told = new Map();
  let isLoading = false, drawing = null, drag = null, cursor = [0.5, 0.5], past = [], future = [], isOpen = false;

  const path = (rest) => `${api}/cameras/${encodeURIComponent(camera())}/${rest}`;
  const isDirty = () => isOpen && (JSON.stringify(shapes) !== clean || drawing !== null);
  const mayLeave = () => !isDirty() || confirm("Leave without saving the zones?");
  const say = (text) => { find("editor-told").textContent = text; };
  const points = (shape) => shape.words[POINTS[shape.list]];

  function remember() {
    past.push(copy(shapes));
    if (past.length > MOST_STEPS) past.shift();
    future = [];
    told = new Map();
  }

  function step(from, to) {
    if (!from.length) return;
    to.push(copy(shapes));
    shapes = from.pop();
    chosen = Math.min(chosen, shapes.length - 1);
    told = new Map();
    show();
  }

  function faultsOf(shape) {
    const faults = [], places = points(shape), name = shape.words.name?.trim();
    if (!name) faults.push("needs a name");
    else if (shapes.some((other) => other !== shape && other.words.name === shape.words.name)) faults.push("another has this name");
    if (shape.list === "zones") {
      if (places.length < 3) faults.push("needs at least 3 points");
      else if (crossesItself(places)) faults.push("its border crosses itself");
    } else if (places[0][0] === places[1][0] && places[0][1] === places[1][1]) faults.push("its ends are the same point");
    return faults;
  }

  // ---- the sheet

  function unit() { return WIDE / (sheet.clientWidth || WIDE); }
  function high() { return WIDE * live.height / live.width; }
  const onSheet = ([x, y]) => [x * WIDE, y * high()];

  function paint() {
    const focused = sheet.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    sheet.setAttribute("viewBox", `0 0 ${WIDE} ${high()}`);
    sheet.classList.toggle("drawing", drawing !== null);
    sheet.replaceChildren();
    shapes.forEach((shape, index) => paintShape(shape, index));
    if (drawing) paintDrawing();
    if (focused) sheet.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  function paintShape(shape, index) {
    const isChosen = index === chosen && !drawing, colour = ink(index);
    const places = points(shape).map(onSheet), text = places.map((at) => at.join(",")).join(" ");
    const body = draw(shape.list === "zones" ? "polygon" : "polyline", {
      points: text, stroke: colour, fill: shape.list === "zones" ? colour : "none", "data-shape": index,
      class: `shape${isChosen ? " chosen" : ""}${faultsOf(shape).length || told.has(shape) ? " bad" : ""}`,
    });
    sheet.append(body);
    if (shape.list === "lines") sheet.append(arrow(side(places), colour));
    if (shape.words.way_norm) sheet.append(arrow(shape.words.way_norm.map(onSheet), colour));
    const label = draw("text", { x: places[0][0], y: places[0][1] - 8 * unit(), fill: colour, "font-size": 13 * unit() });
    label.textContent = shape.words.name ?? "";
    sheet.append(label);
    if (!isChosen) return;
    if (shape.list === "zones") {
      points(shape).forEach((point, number, all) => {
        const next = all[(number + 1) % all.length];
        const [x, y] = onSheet([(point[0] + next[0]) / 2, (point[1] + next[1]) / 2]);
        sheet.append(draw("circle", { cx: x, cy: y, r: 5 * unit(), class: "middle", "data-shape": index, "data-middle": number }));
      });
    }
    const name = shape.words.name || "shape";
    points(shape).forEach((point, number) => handle(point, index, "points", number, `Point ${number + 1} of ${name}`));
    (shape.words.way_norm ?? []).forEach((point, number) =>
      handle(point, index, "way", number, `${number ? "End" : "Start"} of the way through ${name}`));
  }

  function handle(point, index, part, number, label) {
    const [x, y] = onSheet(point);
    const place = { cx: x, cy: y, "data-shape": index, "data-part": part, "data-number": number };
    const dot = draw("circle", {
      ...place, r: 7 * unit(), class: `handle ${part}`, tabindex: 0, role: "button",
      "aria-label": `${label}: arrow keys move it, Delete removes it`, "data-key": `${part}-${number}`,
    });
    sheet.append(draw("circle", { ...place, r: 20 * unit(), class: "reach" }), dot);
  }

  /** From the middle of a line to the side that counts as "in": the right hand, seen from its first point. */
  function side([[x0, y0], [x1, y1]]) {
    const long = Math.hypot(x1 - x0, y1 - y0) || 1, mx = (x0 + x1) / 2, my = (y0 + y1) / 2, reach = 30 * unit();
    return [[mx, my], [mx - (y1 - y0) / long * reach, my + (x1 - x0) / long * reach]];
  }

  function arrow([[x0, y0], [x1, y1]], colour) {
    const angle = Math.atan2(y1 - y0, x1 - x0), tip = 9 * unit();
    const wing = (by) => `${x1 - tip * Math.cos(angle + by)},${y1 - tip * Math.sin(angle + by)}`;
    return draw("path", { d: `M${x0},${y0} L${x1},${y1} M${wing(0.5)} L${x1},${y1} L${wing(-0.5)}`, stroke: colour, fill: "none", class: "arrow" });
  }

  function paintDrawing() {
    const places = drawing.points.map(onSheet), colour = ink(shapes.length);
    const bad = drawing.list === "zones" && drawing.points.length > 3 && crossesItself(drawing.points);
    sheet.append(draw("polyline", { points: places.map((at) => at.join(",")).join(" "), stroke: colour, fill: "none", class: `shape chosen${bad ? " bad" : ""}` }));
    for (const [x, y] of places) sheet.append(draw("circle", { cx: x, cy: y, r: 6 * unit(), class: "handle" }));
    const [x, y] = onSheet(cursor), arm = 10 * unit();
    sheet.append(draw("path", { d: `M${x - arm},${y} H${x + arm} M${x},${y - arm} V${y + arm}`, stroke: colour, class: "cross" }));
  }

  function at(event) {
    const box = sheet.getBoundingClientRect();
    return [clip((event.clientX - box.left) / box.width), clip((event.clientY - box.top) / box.height)];
  }

  const distancePx = ([x0, y0], [x1, y1]) => {
    const box = sheet.getBoundingClientRect();
    return Math.hypot((x1 - x0) * box.width, (y1 - y0) * box.height);
  };

  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const here = at(event);
    if (drawing) { cursor = here; place(here); return; }
    const { shape, part, number, middle } = event.target.dataset;
    if (shape === undefined) { chosen = -1; show(); return; }
    const index = Number(shape);
    if (index !== chosen) { chosen = index; show(); }
    drag = { from: here, before: copy(shapes), part: part ?? "all", number: Number(number), moved: false };
    if (middle !== undefined) {
      points(shapes[chosen]).splice(Number(middle) + 1, 0, here);
      Object.assign(drag, { part: "points", number: Number(middle) + 1, moved: true });
    }
    sheet.setPointerCapture(event.pointerId);
    sheet.querySelector(`[data-key="${drag.part}-${drag.number}"]`)?.focus();
  });

  sheet.addEventListener("pointermove", (event) => {
    const here = at(event);
    if (drawing) { cursor = here; paint(); return; }
    if (!drag) return;
    const words = shapes[chosen].words, was = drag.before[chosen]?.words;
    if (drag.part === "points") points(shapes[chosen])[drag.number] = here;
    else if (drag.part === "way") words.way_norm[drag.number] = here;
    else {
      const all = [was[POINTS[shapes[chosen].list]], was.way_norm ?? []].flat();
      const limit = (side) => {
        const by = here[side] - drag.from[side], low = Math.min(...all.map((it) => it[side])), top = Math.max(...all.map((it) => it[side]));
        return Math.min(Math.max(by, -low), 1 - top);
      };
      const by = [limit(0), limit(1)], moved = (list) => list.map(([x, y]) => [clip(x + by[0]), clip(y + by[1])]);
      words[POINTS[shapes[chosen].list]] = moved(was[POINTS[shapes[chosen].list]]);
      if (was.way_norm) words.way_norm = moved(was.way_norm);
    }
    drag.moved = true;
    show();
  });

  const drop = () => {
    if (drag?.moved) {
      const now = shapes;
      shapes = drag.before;
      remember();
      shapes = now;
    }
    drag = null;
    if (isOpen) show();
  };
  sheet.addEventListener("pointerup", drop);
  sheet.addEventListener("pointercancel", drop);

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  sheet.addEventListener("keydown", (event) => {
    const by = ARROWS[event.key], step = event.shiftKey ? FINE : STEP;
    if (drawing) {
      if (by) { cursor = [clip(cursor[0] + by[0] * step), clip(cursor[1] + by[1] * step)]; paint(); }
      else if (event.key === " ") place(cursor);
      else if (event.key === "Enter") finish();
      else if (event.key === "Escape") cancel();
      else if (event.key === "Backspace") { drawing.points.pop(); paint(); }
      else return;
      event.preventDefault();
      return;
    }
    const { part, number } = event.target.dataset;
    if (part === undefined || chosen < 0) return;
    const words = shapes[chosen].words, list = part === "way" ? words.way_norm : points(shapes[chosen]);
    if (by) {
      remember();
      const [x, y] = list[number];
      list[number] = [clip(x + by[0] * step), clip(y + by[1] * step)];
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (part !== "points" || shapes[chosen].list !== "zones" || list.length <= 3) { say("a zone keeps at least 3 points, a line its 2"); return; }
      remember();
      list.splice(number, 1);
    } else return;
    event.preventDefault();
    show();
  });

  // ---- drawing

  function begin(list) {
    drawing = { list, points: [] };
    chosen = -1;
    cursor = [0.5, 0.5];
    say(list === "zones"
      ? "Click the corners; the first one again, or Enter, ends it. By keyboard: arrows, Space, Enter; Escape cancels."
      : "Click both ends: objects that go to the right-hand side, seen from the first, come \"in\". By keyboard: arrows, Space.");
    show();
    sheet.focus();
  }

  function place(here) {
    const [first] = drawing.points;
    if (drawing.list === "zones" && drawing.points.length >= 3 && distancePx(first, here) < NEAR_PX) { finish(); return; }
    drawing.points.push([...here]);
    if (drawing.list === "lines" && drawing.points.length === 2) { finish(); return; }
    paint();
    buttons();
  }

  function finish() {
    if (!drawing || drawing.points.length < (drawing.list === "zones" ? 3 : 2)) return;
    remember();
    const { list, points: places } = drawing, stem = list === "zones" ? "zone" : "line";
    let number = 1;
    while (shapes.some(({ words }) => words.name === `${stem} ${number}`)) number += 1;
    const shape = { list, was: null, words: { name: `${stem} ${number}`, [POINTS[list]]: places } };
    const lines = shapes.findIndex((other) => other.list === "lines");
    chosen = list === "zones" && lines >= 0 ? lines : shapes.length;
    shapes.splice(chosen, 0, shape);
    drawing = null;
    say("");
    show();
    find("shape-name")?.select();
  }

  function cancel() { drawing = null; say(""); show(); }

  // ---- beside the sheet

  function show() { paint(); list(); form(); buttons(); }

  function list() {
    find("shapes").replaceChildren(...shapes.map((shape, index) => {
      const button = make("button", { type: "button", textContent: shape.words.name || "(no name)", onclick: () => { chosen = index; drawing = null; show(); } });
      button.setAttribute("aria-pressed", String(index === chosen));
      button.style.setProperty("--ink", ink(index));
      const item = make("li", {}, button);
      const faults = [...faultsOf(shape), ...(told.get(shape) ?? [])];
      if (faults.length) item.append(make("span", { className: "fault", textContent: faults.join("; ") }));
      return item;
    }));
    document.body.dataset.shapes = shapes.length;
  }

  function form() {
    const place = find("shape"), shape = shapes[chosen], key = shape ? `${chosen} ${shape.list}` : "";
    // A field that is being written in stays as it is.
    if (place.dataset.of === key && place.contains(document.activeElement)) return;
    place.dataset.of = key;
    if (!shape) { place.replaceChildren(); return; }
    const field = (name, input) => make("label", { textContent: name }, input);
    const set = (change) => { remember(); change(shape.words); place.dataset.of = ""; paint(); list(); buttons(); };
    const name = make("input", { id: "shape-name", value: shape.words.name ?? "", maxLength: 64, onchange: () => set((words) => { words.name = name.value.trim(); }) });
    const rows = [field("Name", name)];
    for (const { key, name, options, number, list: isList, hint } of FIELDS[shape.list]) {
      const now = shape.words[key];
      if (options) {
        const select = make("select", { onchange: () => set((words) => { words[key] = select.value; }) }, ...options.map((value) => make("option", { value, textContent: value.replace("_", " ") })));
        select.value = now ?? options[0];
        select.dataset.field = key;
        rows.push(field(name, select));
        continue;
      }
      const input = make("input", { value: isList ? (now ?? []).join(", ") : now ?? "", placeholder: hint ?? "–", inputMode: number ? "decimal" : "text" });
      input.dataset.field = key;
      if (isList) input.setAttribute("list", "classes");
      input.onchange = () => set((words) => {
        const text = input.value.trim(), value = isList ? text.split(",").map((it) => it.trim()).filter(Boolean) : Number(text.replace(",", "."));
        if (text === "") delete words[key];
        else words[key] = number && Number.isNaN(value) ? text : value;
      });
      rows.push(field(name, input));
    }
    const tool = (text, act, id) => make("button", { type: "button", textContent: text, id, onclick: () => { set(act); show(); } });
    const tools = shape.list === "lines"
      ? [tool("Turn round", (words) => words.line_norm.reverse(), "turn-round")]
      : [shape.words.way_norm
        ? tool("No way", (words) => { delete words.way_norm; }, "no-way")
        : tool("Add the way to go", (words) => {
          const all = words.polygon_norm, middle = [0, 1].map((side) => all.reduce((sum, it) => sum + it[side], 0) / all.length);
          words.way_norm = [middle, [middle[0], clip(middle[1] - 0.1)]].map((it) => it.map(clip));
        }, "add-way")];
    const remove = make("button", { type: "button", textContent: "Delete", id: "delete-shape", onclick: () => { remember(); shapes.splice(chosen, 1); chosen = -1; show(); } });
    place.replaceChildren(...rows, make("div", { className: "tools" }, ...tools, remove));
  }

  function buttons() {
    const isFaulty = shapes.some((shape) => faultsOf(shape).length);
    find("new-zone").disabled = find("new-line").disabled = isLoading || !isOpen;
    find("undo").disabled = !past.length || drawing !== null;
    find("redo").disabled = !future.length || drawing !== null;
    find("try").disabled = find("save").disabled = isFaulty || drawing !== null || !isDirty();
    find("finish").hidden = drawing?.list !== "zones";
    find("finish").disabled = (drawing?.points.length ?? 0) < 3;
    find("cancel").hidden = drawing === null;
    document.body.dataset.dirty = isDirty();
  }

  // ---- loading, trying, saving

  async function load() {
    // What is drawn before the zones are there would be lost with them.
    const of = camera();
    isLoading = true;
    buttons();
    const answer = await fetch(path("config")).catch(() => null);
    isLoading = false;
    if (of !== camera()) return;
    if (!answer?.ok) {
      find("editor").hidden = false;
      say(answer ? await answer.text() : "no answer, is gantryd running?");
      find("reload").hidden = false;
      buttons();
      return;
    }
    const config = await answer.json();
    ({ revision, classes } = config);
    shapes = ["zones", "lines"].flatMap((list) => config[list].map((words) => ({ list, was: words.name, words })));
    // A shape in pixels of a picture whose size is not told cannot be drawn; gantryd refuses it too.
    shapes = shapes.filter((shape) => points(shape));
    clean = JSON.stringify(shapes);
    past = []; future = []; chosen = -1; drawing = null; told = new Map();
    find("classes").replaceChildren(...classes.map((value) => make("option", { value })));
    isOpen = true;
    sheet.hidden = find("editor").hidden = false;
    sheet.removeAttribute("hidden");
    document.body.classList.add("editing");
    say("");
    show();
  }

  async function send(isTrial) {
    const listed = (list) => shapes.filter((shape) => shape.list === list);
    const body = {};
    for (const list of ["zones", "lines"]) body[list] = listed(list).map(({ was, words }) => ({ ...words, ...(was ? { was } : {}) }));
    say(isTrial ? "trying …" : "saving …");
    find("try").disabled = find("save").disabled = true;
    const answer = await fetch(path(`zones${isTrial ? "?dry_run=true" : ""}`), {
      method: isTrial ? "POST" : "PUT",
      headers: { "Content-Type": "application/json", "If-Match": `"${revision}"`, "X-CSRF-Token": csrf },
      body: JSON.stringify(body),
    }).catch(() => null);
    told = new Map();
    const text = answer ? await answer.text() : "no answer, is gantryd running?";
    let words = null;
    try { words = JSON.parse(text); } catch { /* a plain refusal */ }
    if (answer?.ok) {
      if (isTrial) say(`Would be taken. ${summary(words.changes)}`);
      else { await load(); say(`Saved. ${summary(words.changes)}`); saved(); }
    } else if (words?.faults) {
      const general = [];
      for (const { list, index, text } of words.faults) {
        const shape = list ? listed(list)[index] : null;
        if (shape) told.set(shape, [...(told.get(shape) ?? []), text]);
        else general.push(text);
      }
      say(general.join("; ") || "Nothing was changed; see what is marked.");
      find("reload").hidden = answer.status !== 409;
    } else say(text);
    show();
  }

  function summary({ adjusted, reopened, added, removed, after_restart: later }) {
    const parts = [["goes on with other zones", adjusted], ["is opened anew", reopened], ["is new", added], ["is no longer watched", removed], ["counts after a restart", later]];
    const told = parts.filter(([, ids]) => ids.length).map(([what, ids]) => `${ids.join(", ")} ${what}`);
    return told.join("; ") || "Nothing differs.";
  }

  function leave() {
    isOpen = false; drawing = null; shapes = [];
    buttons();
    sheet.setAttribute("hidden", "");
    find("editor").hidden = true;
    document.body.classList.remove("editing");
    document.body.dataset.dirty = "false";
  }

  find("edit").hidden = false;
  find("edit").addEventListener("click", () => { if (!isOpen) load(); else if (mayLeave()) leave(); });
  find("close-editor").addEventListener("click", () => { if (mayLeave()) leave(); });
  find("new-zone").addEventListener("click", () => begin("zones"));
  find("new-line").addEventListener("click", () => begin("lines"));
  find("finish").addEventListener("click", finish);
  find("cancel").addEventListener("click", cancel);
  find("undo").addEventListener("click", () => step(past, future));
  find("redo").addEventListener("click", () => step(future, past));
  find("try").addEventListener("click", () => send(true));
  find("save").addEventListener("click", () => send(false));
  find("reload").addEventListener("click", () => { find("reload").hidden = true; load(); });
  document.addEventListener("keydown", (event) => {
    const isTyping = ["INPUT", "SELECT"].includes(document.activeElement?.tagName);
    if (!isOpen || drawing || isTyping || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) step(future, past); else step(past, future);
  });
  addEventListener("beforeunload", (event) => { if (isDirty()) event.preventDefault(); });
  new ResizeObserver(() => { if (isOpen) paint(); }).observe(live);

  return { mayLeave, leave };
}
