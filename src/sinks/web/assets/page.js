// The live view: one WebSocket per camera looked at. What the camera sends is shown as video where that is
// possible (webrtc.js), else pictures: a binary message is a frame (length of its JSON, the JSON, the JPEG),
// a text message a list of events. Everything over the picture is drawn here.

import { setUpEditor } from "./editor.js";
import { setUpCameras } from "./cameras.js";
import { setUpHealth } from "./health.js";
import { describe, setUpTimeline } from "./timeline.js";
import { openVideo } from "./webrtc.js";

const API = "api/v1";
const TRAIL_SECONDS = 2;
const STALE_SECONDS = 3;
const CHART_MINUTES = 60;
const MOST_EVENTS = 200;
const INKS = ["#4da3ff", "#ff8a3d", "#45c48a", "#d86adf", "#e5c13b", "#f2626b", "#3fc7d9", "#a58bff"];

const find = (id) => document.getElementById(id);
const live = find("live"), draw = live.getContext("2d");
const layers = Object.fromEntries([...document.querySelectorAll("[data-layer]")].map((box) => {
  const name = box.dataset.layer;
  box.checked = localStorage.getItem(`layer.${name}`) !== "off";
  box.addEventListener("change", () => {
    localStorage.setItem(`layer.${name}`, box.checked ? "on" : "off");
    if (shown) paint(shown);
  });
  return [name, box];
}));

let noVideo = null; // why the chosen camera has none although it could
let editor = null, cameras = [], chosen = null, socket = null, shown = null, trails = new Map(), frames = 0;

const ask = async (path) => {
  const answer = await fetch(`${API}/${path}`);
  // The session has ended: the same address now shows the page to log in with.
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};
const make = (tag, text = "", attributes = {}) =>
  Object.assign(document.createElement(tag), { textContent: text, ...attributes });
const ink = (number) => INKS[number % INKS.length];
const state = (text) => { if (find("state").textContent !== text) find("state").textContent = text; };

// ---- cameras

function choose(id) {
  if (editor && !editor.mayLeave()) return;
  editor?.leave();
  chosen = id;
  location.hash = encodeURIComponent(id);
  for (const tab of find("cameras").children) tab.setAttribute("aria-selected", String(tab.textContent === id));
  shown = null; trails = new Map(); frames = 0; noVideo = null;
  draw.clearRect(0, 0, live.width, live.height);
  find("events").replaceChildren();
  find("counts").tBodies[0].replaceChildren();
  timeline.choose(id);
  health.choose(id);
  connect();
  refresh();
}

const canVideo = () => "RTCPeerConnection" in window && cameras.find(({ id }) => id === chosen)?.video.available;
const wantsVideo = () => find("as-video").checked && !noVideo && canVideo();

function connect() {
  socket?.close();
  state("connecting");
  document.body.classList.remove("video");
  document.body.dataset.mode = wantsVideo() ? "video" : "pictures";
  if (wantsVideo()) connectVideo(); else connectPictures();
  tellVideo();
}

const streamOf = (id, what) => {
  const address = new URL(`${API}/cameras/${encodeURIComponent(id)}/${what}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address;
};

// What happened while nobody listened; numbers begin anew when the daemon does.
async function catchUp(id, mine) {
  state("waiting for a picture");
  const missed = await ask(`cameras/${encodeURIComponent(id)}/events`).catch(() => []);
  if (mine !== socket) return;
  const newest = missed.at(-1)?.number ?? 0, first = find("events").firstChild;
  if (first && newest < Number(first.dataset.number)) find("events").replaceChildren();
  addEvents(missed);
}

function show(frame) {
  remember(frame);
  shown?.picture.close();
  shown = frame;
  frames += 1;
  paint(frame);
  tell(frame);
  state(frame.age_s > STALE_SECONDS ? `no picture for ${Math.round(frame.age_s)} s` : "");
  document.body.dataset.frames = frames;
  document.body.dataset.objects = frame.tracks.length;
}

function connectVideo() {
  let exact = 0;
  const id = chosen;
  const mine = socket = openVideo({
    address: streamOf(id, "video"),
    video: find("video"),
    onOpen: () => catchUp(id, mine),
    onBegin: () => { document.body.classList.add("video"); state(""); },
    onFrame: (frame, isExact) => {
      if (isExact) document.body.dataset.exact = exact += 1;
      show(frame);
    },
    onEvents: addEvents,
    onEnd: ({ reason, text, hasBegun }) => {
      if (mine !== socket) return;
      // Pictures until the camera is chosen again, unless it was a mere break.
      const isBreak = hasBegun && ["lost", "vanished", "slow", "not_connected"].includes(reason);
      if (!isBreak) noVideo = text;
      state("connection lost, trying again");
      setTimeout(() => { if (mine === socket) connect(); }, isBreak ? 2000 : 0);
    },
  });
}

function tellVideo() {
  const video = cameras.find(({ id }) => id === chosen)?.video;
  find("video-choice").hidden = !video || video.reason === "off";
  find("as-video").disabled = !canVideo();
  const why = find("as-video").checked ? (noVideo ?? video?.text) : "";
  const text = video?.reason === "off" || document.body.dataset.mode === "video" || !why ? "" : `pictures: ${why}`;
  if (find("video-state").textContent !== text) find("video-state").textContent = text;
  document.body.dataset.noVideo = text;
}

function connectPictures() {
  const id = chosen;
  const mine = socket = new WebSocket(streamOf(id, "live"));
  mine.binaryType = "arraybuffer";
  mine.onopen = () => catchUp(id, mine);
  mine.onmessage = async ({ data }) => {
    if (typeof data === "string") { addEvents(JSON.parse(data)); return; }
    const length = new DataView(data).getUint32(0);
    const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    frame.picture = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    if (mine === socket) show(frame);
  };
  mine.onclose = () => {
    if (mine !== socket) return;
    state("connection lost, trying again");
    setTimeout(() => { if (mine === socket) connect(); }, 2000);
  };
}

// ---- the picture

function remember(frame) {
  const now = frame.pts_ns / 1e9;
  for (const track of frame.tracks) {
    const [left, , right, bottom] = track.box_px;
    const trail = trails.get(track.id) ?? [];
    trail.push([now, (left + right) / 2, bottom]);
    trails.set(track.id, trail);
  }
  for (const [id, trail] of trails) {
    while (trail.length && (now - trail[0][0] > TRAIL_SECONDS || trail[0][0] > now)) trail.shift();
    if (!trail.length) trails.delete(id);
  }
}

function paint(frame) {
  if (live.width !== frame.picture.width || live.height !== frame.picture.height) {
    live.width = frame.picture.width; live.height = frame.picture.height;
  }
  const scale = live.width / frame.width;
  const unit = Math.max(live.width / 480, 1);
  // Video is below, and is seen through.
  if (layers.picture.checked && !(frame.picture instanceof ImageBitmap)) draw.clearRect(0, 0, live.width, live.height);
  else if (layers.picture.checked) draw.drawImage(frame.picture, 0, 0);
  else { draw.fillStyle = "#000"; draw.fillRect(0, 0, live.width, live.height); }
  draw.lineJoin = draw.lineCap = "round";
  draw.font = `${Math.round(6.5 * unit)}px system-ui, sans-serif`;
  draw.textBaseline = "bottom";
  if (layers.zones.checked && !document.body.classList.contains("editing")) paintPlaces(unit);
  for (const track of frame.tracks) {
    const colour = ink(track.id);
    const [left, top, right, bottom] = track.box_px.map((edge) => edge * scale);
    draw.strokeStyle = colour;
    draw.lineWidth = unit;
    if (layers.trails.checked) stroke((trails.get(track.id) ?? []).map(([, x, y]) => [x * scale, y * scale]));
    if (layers.boxes.checked) {
      draw.setLineDash(track.state === "confirmed" ? [] : [3 * unit, 2 * unit]);
      draw.strokeRect(left, top, right - left, bottom - top);
      draw.setLineDash([]);
    }
    if (layers.labels.checked) label(`${track.class} ${track.id}${track.speed ? ` ${track.speed}` : ""}`, left, top, colour, unit);
  }
}

function paintPlaces(unit) {
  const camera = cameras.find(({ id }) => id === chosen);
  if (!camera) return;
  const place = (points) => points.map(([x, y]) => [x * live.width, y * live.height]);
  draw.lineWidth = unit;
  draw.strokeStyle = "#ffffff66";
  for (const { points } of camera.outlines) stroke(place(points), true);
  camera.zones.forEach((zone, index) => {
    draw.strokeStyle = ink(index);
    stroke(place(zone.points), true);
    label(zone.name, ...place(zone.points)[0], ink(index), unit);
  });
  camera.lines.forEach((line, number) => {
    const index = camera.zones.length + number;
    const [[x0, y0], [x1, y1]] = place(line.points);
    draw.strokeStyle = ink(index);
    draw.lineWidth = 2 * unit;
    stroke([[x0, y0], [x1, y1]]);
    // "in" goes to the right-hand side, seen from the first point.
    const long = Math.hypot(x1 - x0, y1 - y0) || 1, mx = (x0 + x1) / 2, my = (y0 + y1) / 2, reach = 12 * unit;
    stroke([[mx, my], [mx - (y1 - y0) / long * reach, my + (x1 - x0) / long * reach]]);
    draw.lineWidth = unit;
    label(line.name, x0, y0, ink(index), unit);
  });
}

function stroke(points, closed = false) {
  draw.beginPath();
  points.forEach(([x, y], index) => (index ? draw.lineTo(x, y) : draw.moveTo(x, y)));
  if (closed) draw.closePath();
  draw.stroke();
}

function label(text, x, y, colour, unit) {
  const wide = draw.measureText(text).width + 4 * unit, high = 8.5 * unit;
  const left = Math.min(Math.max(x, 0), live.width - wide), bottom = Math.max(y, high);
  draw.fillStyle = colour;
  draw.fillRect(left, bottom - high, wide, high);
  draw.fillStyle = "#000";
  draw.fillText(text, left + 2 * unit, bottom - unit);
}

// ---- beside the picture

function tell(frame) {
  tellTurns(frame.counts?.turns ?? []);
  const rows = [
    ...(frame.counts?.lines ?? []).map((line) => [line.name, `in ${line.in} · out ${line.out}`]),
    ...(frame.counts?.zones ?? []).map((zone) => [zone.name, `${zone.occupancy} inside · ${zone.entries} in · ${zone.exits} out`]),
    ["objects now", String(frame.tracks.filter((track) => track.state !== "tentative").length)],
  ];
  const body = find("counts").tBodies[0];
  while (body.rows.length < rows.length) { const row = body.insertRow(); row.insertCell(); row.insertCell(); }
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach(([name, text], index) => {
    const [first, second] = body.rows[index].cells;
    first.textContent = name; second.textContent = text;
  });
}

/** Origins as rows, destinations as columns; only lines that are one or the other. */
function tellTurns(turns) {
  const box = find("turns");
  box.hidden = turns.length === 0;
  const told = JSON.stringify(turns);
  if (box.hidden || box.dataset.told === told) return;
  box.dataset.told = told;
  const origins = [...new Set(turns.map(({ from }) => from))], goals = [...new Set(turns.map(({ to }) => to))].sort();
  const table = document.createElement("table");
  table.createCaption().textContent = "Turns: from the line of the row to that of the column";
  const cell = (row, name, text, scope) => {
    const made = row.appendChild(document.createElement(name));
    made.textContent = text;
    if (scope) made.scope = scope;
  };
  const top = table.createTHead().insertRow(), body = table.createTBody();
  cell(top, "td", "");
  goals.forEach((goal) => cell(top, "th", goal, "col"));
  for (const origin of origins) {
    const row = body.insertRow();
    cell(row, "th", origin, "row");
    goals.forEach((goal) => cell(row, "td", String(turns.find(({ from, to }) => from === origin && to === goal)?.count ?? "")));
  }
  box.replaceChildren(table);
}

function addEvents(events) {
  const list = find("events");
  for (const event of events) {
    if (event.camera !== chosen || list.querySelector(`[data-number="${event.number}"]`)) continue;
    const when = event.utc ? new Date(event.utc).toLocaleTimeString() : `${(event.pts_ns / 1e9).toFixed(1)} s`;
    const item = make("li", describe(event), { tabIndex: 0 });
    item.dataset.number = event.number;
    item.prepend(make("time", when));
    list.prepend(item);
  }
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
  document.body.dataset.events = list.children.length;
  timeline.add(events);
}

/** A tab for each camera; tells whether the cameras are others than before. */
function tabs() {
  const list = find("cameras"), now = cameras.map(({ id }) => id);
  if (now.join("\n") === [...list.children].map((tab) => tab.textContent).join("\n")) return false;
  list.replaceChildren(...now.map((id) => {
    const tab = make("button", id, { type: "button", onclick: () => choose(id) });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(id === chosen));
    return tab;
  }));
  return true;
}

async function refresh() {
  try {
    cameras = await ask("cameras");
    // Somebody else, or the configuration file, has added or removed one.
    if (tabs() && cameras.length && !cameras.some(({ id }) => id === chosen)) { choose(cameras[0].id); return; }
    const camera = cameras.find(({ id }) => id === chosen);
    if (camera) {
      if (wantsVideo() && document.body.dataset.mode === "pictures") connect();
      tellVideo();
      timeline.setKnownFrom(camera.events_known_from ? Date.parse(camera.events_known_from) : null);
      timeline.places([...camera.lines, ...camera.zones].map(({ name }) => name));
      const facts = {
        "frames per second": camera.fps.toFixed(1),
        "newest result": camera.age_s == null ? "none yet" : `${camera.age_s.toFixed(1)} s ago`,
        received: camera.received, processed: camera.processed, dropped: camera.dropped,
      };
      find("health").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [make("dt", name), make("dd", String(value))]));
      chart(await ask(`cameras/${encodeURIComponent(chosen)}/minutes?last=${CHART_MINUTES}`));
    }
    const system = await ask("system");
    timeline.setClock(Date.parse(system.utc));
    find("system").textContent = `${system.version} · up ${(system.uptime_s / 3600).toFixed(1)} h`;
  } catch (error) { find("system").textContent = String(error.message ?? error); }
}

function chart(rows) {
  const canvas = find("chart"), pen = canvas.getContext("2d"), series = new Map();
  const last = (rows.at(-1)?.start_s ?? 0) / 60, first = last - CHART_MINUTES + 1;
  for (const row of rows) {
    const key = `${row.place} ${row.what}`, at = row.start_s / 60 - first;
    if (!series.has(key)) series.set(key, new Array(CHART_MINUTES).fill(0));
    if (at >= 0) series.get(key)[at] = row.count;
  }
  const most = Math.max(1, ...[...series.values()].flat());
  const style = getComputedStyle(document.body), high = canvas.height - 16;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = style.getPropertyValue("--quiet");
  pen.strokeStyle = style.getPropertyValue("--edge");
  pen.strokeRect(.5, .5, canvas.width - 1, high);
  pen.fillText(String(most), 4, 12);
  pen.fillText(rows.length ? "the hour until the newest count" : "nothing counted yet", 4, canvas.height - 3);
  [...series.values()].forEach((counts, index) => {
    pen.strokeStyle = ink(index);
    pen.lineWidth = 2;
    pen.beginPath();
    counts.forEach((count, at) => {
      const x = (at + .5) / CHART_MINUTES * canvas.width, y = high - count / most * (high - 16);
      at ? pen.lineTo(x, y) : pen.moveTo(x, y);
    });
    pen.stroke();
  });
  find("legend").replaceChildren(...[...series.keys()].map((key, index) => {
    const name = make("span", key);
    name.style.setProperty("--ink", ink(index));
    return name;
  }));
  document.body.dataset.series = series.size;
}

// ---- begin

find("as-video").checked = localStorage.getItem("video") !== "off";
find("as-video").addEventListener("change", ({ target }) => {
  localStorage.setItem("video", target.checked ? "on" : "off");
  noVideo = null;
  connect();
});

find("cameras").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...event.currentTarget.children], at = tabs.indexOf(document.activeElement);
  tabs[(at + step + tabs.length) % tabs.length]?.focus();
});
const timeline = setUpTimeline({ api: API, ask, csrf: () => (session.can_edit ? session.csrf : null) }), health = setUpHealth({ ask });
sessionStorage.removeItem("again");
const session = await ask("session");
if (session.has_session) {
  find("account").textContent = `${session.user}, ${session.role}`;
  find("logout").hidden = false;
  find("logout").addEventListener("click", async () => {
    await fetch(`${API}/logout`, { method: "POST", headers: { "X-CSRF-Token": session.csrf } });
    location.reload();
  });
}
if (session.can_edit) {
  editor = setUpEditor({ api: API, csrf: session.csrf, camera: () => chosen, ink, live, saved: refresh });
  setUpCameras({ api: API, csrf: session.csrf, cameras: () => cameras, chosen: () => chosen, mayLeave: editor.mayLeave });
}
cameras = await ask("cameras");
tabs();
const wanted = decodeURIComponent(location.hash.slice(1));
choose(cameras.some(({ id }) => id === wanted) ? wanted : cameras[0]?.id);
setInterval(refresh, 2000);
