// Events over time: marks by type over a span that can be moved, and for each event what was seen: the
// pictures, the clip, and where, what and which way.

const NAMESPACE = "http://www.w3.org/2000/svg";
const MINUTE = 60e3, DAY = 24 * 60 * MINUTE;
const SPANS = [["10 min", 10], ["1 h", 60], ["6 h", 360], ["24 h", 1440]];
const LANE = 26, AXIS = 22, GUTTER = 92, BIN = 13; // px
const PAGE = 1000, MOST_PAGES = 10;              // events of one request, requests in a row
const FILES_LATE = 10e3;                         // an event's files are told a moment after it, ms
const AGAIN = 2000;                              // a clip that is under way is asked for again after, ms

// Name and colour of each type, in the order of the lanes.
const TYPES = {
  line_crossing: ["Crossing", "#2f81f7"], turn: ["Turn", "#a371f7"], zone_entry: ["Entry", "#2da44e"],
  zone_exit: ["Exit", "#7d8a99"], loitering: ["Loitering", "#d4a72c"], stopped: ["Stopped", "#e8833a"],
  wrong_way: ["Wrong way", "#e5484d"], occupancy: ["Occupancy", "#1aa3b8"], queue: ["Queue", "#c2559d"],
  congestion: ["Congestion", "#b5572a"],
};
const nameOf = (type) => TYPES[type]?.[0] ?? type.replaceAll("_", " ");
const colourOf = (type) => TYPES[type]?.[1] ?? "#8b949e";

const KINDS = {
  line_crossing: (e) => `crossed ${e.line}, ${e.direction}`, turn: (e) => `from ${e.from} to ${e.to}`,
  zone_entry: (e) => `entered ${e.zone}`, zone_exit: (e) => `left ${e.zone} after ${seconds(e.dwell_ns)}`,
  loitering: (e) => `loiters in ${e.zone}, ${seconds(e.dwell_ns)}`, stopped: (e) => `stands in ${e.zone} (${e.phase})`,
  wrong_way: (e) => `wrong way at ${e.place}`, occupancy: (e) => `${e.zone}: ${e.count} inside (${e.phase})`,
  queue: (e) => `${e.zone}: queue of ${e.count} (${e.phase})`, congestion: (e) => `${e.zone}: congested, ${e.count} (${e.phase})`,
};
const seconds = (nanos) => `${(nanos / 1e9).toFixed(1)} s`;

/** What happened, in words. */
export function describe(event) {
  const who = event.object ? `${event.object.class} ${event.object.tracks.at(-1)} ` : "";
  return who + (KINDS[event.type] ?? (() => nameOf(event.type)))(event);
}

const find = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...inside);
  return element;
};
const draw = (tag, attributes, text) => {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const placesOf = (e) => [e.line, e.zone, e.place, e.from, e.to].filter(Boolean);
const clock = (at, withSeconds) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(withSeconds ? { second: "2-digit" } : {}) });

// The moment that the name of a clip tells, to a second.
const STAMP = /_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/;

export function setUpTimeline({ api, ask, csrf }) {
  const svg = find("timeline"), dialog = find("event");
  let camera = null, events = new Map(), loaded = null, ahead = 0, wide = 600;
  let span = Number(localStorage.getItem("timeline.span")) || 60, end = null; // end: null follows the present
  let knownFrom = null; // what was before is no longer on the disk
  let chosen = null, opened = null, drag = null, lastPaint = 0, loading = 0;

  const path = (rest) => `cameras/${encodeURIComponent(camera)}/${rest}`;
  const now = () => Date.now() + ahead;
  const right = () => end ?? now();
  const left = () => right() - span * MINUTE;
  const plot = () => Math.max(wide - GUTTER - 8, 50);
  const x = (at) => GUTTER + (at - left()) / (span * MINUTE) * plot();

  // ---- events

  function keep(event) {
    const at = event.utc ? Date.parse(event.utc) : now();
    // The path of an object is not shown here, and long.
    if (event.object) event = { ...event, object: { ...event.object, path: undefined } };
    events.set(event.number, { ...event, at });
  }

  const wanted = () => {
    const type = find("timeline-type").value, place = find("timeline-place").value;
    return [...events.values()]
      .filter((e) => (!type || e.type === type) && (!place || placesOf(e).includes(place)))
      .sort((one, other) => one.at - other.at || one.number - other.number);
  };
  const shown = () => wanted().filter((e) => e.at >= left() && e.at <= right());

  async function load() {
    const from = left() - span * MINUTE / 4;
    if (!camera || (loaded !== null && loaded <= from)) return;
    const mine = ++loading, of = camera, to = loaded ?? now() + DAY;
    let before = "", pages = 0;
    try {
      for (; pages < MOST_PAGES; pages++) {
        const query = `events?from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}&limit=${PAGE}${before}`;
        const page = await ask(path(query));
        if (mine !== loading || of !== camera) return;
        page.forEach(keep);
        if (!page.length) break;
        before = `&before=${page[0].number}`;
      }
      loaded = from;
      paint();
    } catch (error) { find("timeline-told").textContent = String(error.message ?? error); }
  }

  // ---- the picture of it

  function ticks() {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360];
    const most = Math.max(plot() / 80, 1);
    const step = (steps.find((it) => span / it <= most) ?? 720) * MINUTE;
    const zone = new Date(right()).getTimezoneOffset() * MINUTE;
    const all = [];
    for (let at = Math.ceil((left() - zone) / step) * step + zone; at <= right(); at += step) all.push(at);
    return all;
  }

  function paint() {
    lastPaint = Date.now();
    wide = svg.clientWidth || wide;
    const list = shown(), types = Object.keys(TYPES).filter((type) => list.some((e) => e.type === type));
    for (const e of list) if (!TYPES[e.type] && !types.includes(e.type)) types.push(e.type);
    const lanes = Math.max(types.length, 2), high = lanes * LANE + AXIS;
    svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    svg.style.height = `${high}px`;
    const parts = [];
    for (const at of ticks()) {
      parts.push(draw("line", { x1: x(at), x2: x(at), y1: 0, y2: lanes * LANE, class: "tick" }));
      parts.push(draw("text", { x: Math.min(x(at), wide - 30), y: high - 6, class: "hour", "text-anchor": "middle" }, clock(at)));
    }
    for (let lane = 0; lane <= lanes; lane++) parts.push(draw("line", { x1: 0, x2: wide, y1: lane * LANE, y2: lane * LANE, class: "lane" }));
    if (knownFrom !== null && knownFrom > left()) {
      const until = Math.min(x(knownFrom), wide - 8);
      parts.push(draw("rect", { x: GUTTER, y: 0, width: Math.max(until - GUTTER, 0), height: lanes * LANE, class: "unknown" }));
      if (until - GUTTER > 160) parts.push(draw("text", { x: until - 6, y: 14, "text-anchor": "end" }, "earlier: no longer on the disk"));
    }
    if (!list.length) {
      parts.push(draw("text", { x: GUTTER + plot() / 2, y: lanes * LANE / 2 + 5, class: "none", "text-anchor": "middle" }, loaded === null ? "loading …" : "no events in this time"));
    }
    types.forEach((type, lane) => {
      const y = lane * LANE + LANE / 2, bins = new Map();
      parts.push(draw("text", { x: 8, y: y + 4, class: "type" }, nameOf(type)));
      for (const e of list.filter((it) => it.type === type)) {
        const bin = Math.floor(x(e.at) / BIN);
        bins.set(bin, [...(bins.get(bin) ?? []), e]);
      }
      for (const together of bins.values()) {
        const last = together.at(-1), count = together.length;
        const at = Math.min(Math.max(together.reduce((sum, e) => sum + x(e.at), 0) / count, GUTTER), wide - 9);
        const mark = draw("circle", {
          cx: at, cy: y, r: Math.min(3 + Math.sqrt(count), BIN / 2), fill: colourOf(type), "data-number": last.number,
          class: `mark${together.some((e) => e.number === chosen) ? " chosen" : ""}`,
        });
        const text = count > 1 ? `${count} × ${nameOf(type)}, ${clock(together[0].at, true)} – ${clock(last.at, true)}` : `${clock(last.at, true)} ${describe(last)}`;
        mark.append(draw("title", {}, text));
        parts.push(mark);
      }
    });
    if (end === null) parts.push(draw("line", { x1: wide - 8, x2: wide - 8, y1: 0, y2: lanes * LANE, class: "now" }));
    svg.replaceChildren(...parts);
    const day = new Date(left()).toLocaleDateString([], { day: "numeric", month: "short" });
    find("timeline-when").textContent = `${day}, ${clock(left())} – ${end === null ? "now" : clock(right())} · ${list.length} event${list.length === 1 ? "" : "s"}`;
    find("timeline-now").disabled = end === null;
    find("timeline-later").disabled = end === null;
    svg.dataset.events = list.length;
  }

  function fillPlaces(names) {
    const select = find("timeline-place"), was = select.value;
    if ([...select.options].slice(1).map((it) => it.value).join("\n") === names.join("\n")) return;
    select.replaceChildren(make("option", { value: "", textContent: "all places" }), ...names.map((value) => make("option", { value, textContent: value })));
    select.value = names.includes(was) ? was : "";
  }

  function move(by) {
    const to = right() + by;
    end = to >= now() ? null : Math.max(to, now() - 31 * DAY);
    paint(); load();
  }

  function choose(number) {
    chosen = number;
    const event = events.get(number);
    find("timeline-told").textContent = event ? `${clock(event.at, true)} ${describe(event)}` : "";
    if (event && (event.at < left() || event.at > right())) end = Math.min(event.at + span * MINUTE / 2, now());
    paint();
  }

  function step(by, list = shown()) {
    const at = list.findIndex((e) => e.number === chosen);
    const next = at < 0 ? (by > 0 ? list[0] : list.at(-1)) : list[at + by];
    if (next) choose(next.number);
    return next;
  }

  svg.addEventListener("click", (event) => {
    const { number } = event.target.dataset;
    if (drag?.moved || number === undefined) return;
    choose(Number(number));
    open(Number(number));
  });
  svg.addEventListener("pointerdown", (event) => { drag = { x: event.clientX, end: right(), moved: false, id: event.pointerId }; });
  svg.addEventListener("pointermove", (event) => {
    if (!drag || !event.buttons) return;
    const by = event.clientX - drag.x;
    if (!drag.moved && Math.abs(by) < 5) return;
    if (!drag.moved) svg.setPointerCapture(drag.id);
    drag.moved = true;
    const to = drag.end - by / plot() * span * MINUTE;
    end = to >= now() ? null : to;
    paint();
  });
  svg.addEventListener("pointerup", () => { if (drag?.moved) { load(); setTimeout(() => { drag = null; }); } else drag = null; });
  svg.addEventListener("wheel", (event) => {
    const by = event.shiftKey ? event.deltaY : event.deltaX;
    if (!by) return;
    event.preventDefault();
    move(by / plot() * span * MINUTE);
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1),
      Home: () => { chosen = null; step(1); }, End: () => { chosen = null; step(-1); },
      PageUp: () => move(-span * MINUTE / 2), PageDown: () => move(span * MINUTE / 2),
      Enter: () => { if (chosen !== null) open(chosen); }, " ": () => { if (chosen !== null) open(chosen); },
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  find("timeline-span").replaceChildren(...SPANS.map(([name, minutes]) => {
    const button = make("button", { type: "button", textContent: name });
    button.setAttribute("aria-pressed", String(minutes === span));
    button.addEventListener("click", () => {
      const middle = end === null ? null : right() - span * MINUTE / 2;
      span = minutes;
      localStorage.setItem("timeline.span", span);
      end = middle === null || middle + span * MINUTE / 2 >= now() ? null : middle + span * MINUTE / 2;
      for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
      paint(); load();
    });
    return button;
  }));
  find("timeline-type").replaceChildren(make("option", { value: "", textContent: "all types" }), ...Object.entries(TYPES).map(([value, [name]]) => make("option", { value, textContent: name })));
  find("timeline-type").addEventListener("change", paint);
  find("timeline-place").addEventListener("change", paint);
  find("timeline-earlier").addEventListener("click", () => move(-span * MINUTE / 2));
  find("timeline-later").addEventListener("click", () => move(span * MINUTE / 2));
  find("timeline-now").addEventListener("click", () => { end = null; paint(); load(); });
  new ResizeObserver(() => { if (svg.clientWidth && svg.clientWidth !== wide) paint(); }).observe(svg);
  setInterval(() => {
    if (end === null && !drag && Date.now() - lastPaint > Math.max(1000, span * MINUTE / plot())) paint();
  }, 1000);

  // ---- one event

  async function open(number) {
    const mine = opened = { number };
    if (!dialog.open) dialog.showModal();
    const known = events.get(number);
    if (known) facts(known);
    find("event-media").replaceChildren();
    delete dialog.dataset.clip;
    let event;
    for (;;) {
      try { event = await ask(path(`events/${number}`)); } catch (error) {
        if (mine === opened) find("event-media").replaceChildren(make("p", { className: "quiet", textContent: String(error.message ?? error) }));
        return;
      }
      if (mine !== opened) return;
      keep(event);
      const isFresh = now() - events.get(number).at < FILES_LATE;
      if (event.clip || event.snapshot || !isFresh) break;
      await new Promise((done) => setTimeout(done, 500));
      if (mine !== opened) return;
    }
    event = events.get(number);
    facts(event);
    media(event, mine);
    keeping(event, mine).catch(() => {});
  }

  /** A button that keeps the clip from every limit of the disk, or lets it go; for those who may. */
  async function keeping(event, mine) {
    const word = csrf(), stamp = event.clip?.file.match(STAMP);
    if (!word || !stamp) return;
    const [, year, month, ...rest] = stamp.map(Number), begin = Date.UTC(year, month - 1, ...rest);
    const span = `from=${new Date(begin).toISOString()}&to=${new Date(begin + 1000).toISOString()}`;
    const films = await ask(path(`recordings?kind=clip&${span}`));
    const film = films.find(({ file }) => file === event.clip.file);
    if (!film || mine !== opened) return;
    const button = make("button", { type: "button", id: "event-keep" });
    const tell = () => {
      button.textContent = film.kept ? "Kept for good" : "Keep for good";
      button.setAttribute("aria-pressed", String(film.kept));
    };
    button.addEventListener("click", async () => {
      const address = `${api}/${path(`recordings/${encodeURIComponent(film.file)}/keep`)}`;
      const answer = await fetch(address, { method: film.kept ? "DELETE" : "PUT", headers: { "X-CSRF-Token": word } }).catch(() => null);
      if (answer?.ok) film.kept = !film.kept;
      else find("timeline-told").textContent = answer ? await answer.text() : "no answer, is gantryd running?";
      tell();
    });
    tell();
    find("event-files").append(button);
  }

  function facts(event) {
    find("event-title").textContent = describe(event);
    find("event-title").style.setProperty("--ink", colourOf(event.type));
    const object = event.object, rows = [
      ["Type", nameOf(event.type)],
      ["Time", event.utc ? new Date(event.at).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }) : `${seconds(event.pts_ns)} after the camera's start`],
      ["Camera", event.camera], ["Place", placesOf(event).join(" → ")], ["Direction", event.direction],
      ["Class", object && `${object.class}, ${Math.round(object.class_share * 100)} % of its sightings`],
      ["Id", object?.tracks.join(", ")], ["Confidence", object && `${Math.round(object.confidence * 100)} %`],
      ["Speed", object?.speed && `${object.speed.value} ± ${object.speed.uncertainty} ${object.speed.unit}`],
      ["Stayed", event.dwell_ns !== undefined && seconds(event.dwell_ns)], ["Stood", event.still_ns !== undefined && seconds(event.still_ns)],
      ["Inside", event.count], ["Phase", event.phase], ["Number", event.number],
    ];
    find("event-facts").replaceChildren(...rows.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "")
      .flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: String(value) })]));
    const all = wanted(), at = all.findIndex((e) => e.number === event.number);
    find("event-earlier").disabled = at <= 0;
    find("event-later").disabled = at < 0 || at === all.length - 1;
    const files = [];
    const link = (text, address, file) => files.push(make("a", { href: address, download: file, textContent: text }));
    if (event.clip) link("Clip", `${api}/${path(`events/${event.number}/clip.mp4`)}`, event.clip.file);
    if (event.snapshot) link("Picture", `${api}/${path(`events/${event.number}/frame.jpg`)}`, event.snapshot.frame);
    if (event.recording) link(`Recording (from ${seconds(event.recording.pts_ns)})`, `${api}/${path(`recordings/${encodeURIComponent(event.recording.file)}`)}`, event.recording.file);
    find("event-files").replaceChildren(...files);
  }

  function media(event, mine) {
    const place = find("event-media"), base = `${api}/${path(`events/${event.number}`)}`;
    place.replaceChildren();
    if (event.clip) place.append(clipOf(event, base, mine));
    if (event.snapshot) {
      const pictures = make("div", { className: "pictures" });
      pictures.append(pictureOf(`${base}/frame.jpg`, "The whole picture", event.object?.box_px));
      if (event.snapshot.object) pictures.append(pictureOf(`${base}/object.jpg`, "The object"));
      place.append(pictures);
    }
    if (!place.childElementCount) {
      place.append(make("p", { className: "quiet", textContent: "No picture and no clip were made of this event. [snapshots] and [clips] in the configuration say which events get them." }));
    }
  }

  /** A picture, or the reason why there is none; with the border of a box, in its pixels. */
  function pictureOf(address, name, box) {
    const image = make("img", { alt: name, src: address }), figure = make("figure", {}, image);
    image.addEventListener("error", async () => {
      const answer = await fetch(address).catch(() => null);
      if (answer?.ok || answer?.status === 409) {
        setTimeout(() => { if (image.isConnected) image.src = address; }, AGAIN);
        return;
      }
      figure.replaceChildren(make("p", { className: "quiet", textContent: answer ? await answer.text() : "no answer" }));
    });
    image.addEventListener("load", () => {
      if (!box) return;
      const [l, t, r, b] = box, cover = draw("svg", { viewBox: `0 0 ${image.naturalWidth} ${image.naturalHeight}`, "aria-hidden": "true" });
      cover.append(draw("rect", { x: l, y: t, width: Math.max(r - l, 1), height: Math.max(b - t, 1), class: "box" }));
      figure.append(cover);
    });
    return figure;
  }

  function clipOf(event, base, mine) {
    const address = `${base}/clip.mp4`, at = event.clip.pts_ns / 1e9;
    const told = make("p", { className: "quiet", textContent: "loading the clip …" }), place = make("div", { className: "clip" }, told);
    const begin = async () => {
      // One byte tells whether it is there, under way or deleted.
      const answer = await fetch(address, { headers: { Range: "bytes=0-0" } }).catch(() => null);
      if (mine !== opened) return;
      dialog.dataset.clip = answer?.status ?? "none";
      if (answer?.status === 409) {
        told.textContent = "The clip is still being written …";
        setTimeout(begin, AGAIN);
        return;
      }
      if (!answer?.ok) { told.textContent = answer ? await answer.text() : "no answer, is gantryd running?"; return; }
      const video = make("video", { controls: true, muted: true, playsInline: true, preload: "auto", src: address });
      if (event.snapshot) video.poster = `${base}/frame.jpg`;
      const jump = make("button", { type: "button", textContent: `To the event, ${at.toFixed(1)} s`, onclick: () => { video.currentTime = at; video.play().catch(() => {}); } });
      video.addEventListener("error", () => { told.textContent = "This browser cannot play the clip (H.265 perhaps); it can be saved below."; place.append(told); });
      place.replaceChildren(video, jump);
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
    };
    begin();
    return place;
  }

  function walk(by) {
    const next = step(by, wanted());
    if (next) open(next.number);
  }
  find("event-earlier").addEventListener("click", () => walk(-1));
  find("event-later").addEventListener("click", () => walk(1));
  find("event-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.tagName === "VIDEO") return;
    if (event.key === "ArrowLeft") walk(-1);
    if (event.key === "ArrowRight") walk(1);
  });
  dialog.addEventListener("close", () => { opened = null; find("event-media").replaceChildren(); });
  const fromList = (event) => {
    const item = event.target.closest("li[data-number]");
    if (!item || (event.type === "keydown" && event.key !== "Enter")) return;
    const number = Number(item.dataset.number);
    choose(number);
    open(number);
  };
  find("events").addEventListener("click", fromList);
  find("events").addEventListener("keydown", fromList);

  return {
    /** Shows another camera. */
    choose(id) {
      camera = id; events = new Map(); loaded = null; chosen = null; end = null;
      if (dialog.open) dialog.close();
      paint(); load();
    },
    /** Events that have just come. */
    add(news) {
      for (const event of news) {
        if (event.camera !== camera) continue;
        // Numbers begin anew when nothing of before is remembered: what was shown is of another count.
        const known = events.get(event.number);
        if (!known || known.utc !== event.utc) keep(event);
      }
      if (!drag) paint();
    },
    /** Since when all events are known here, ms; null where none is missing. */
    setKnownFrom(at) { knownFrom = at; },
    /** Names of zones and lines to choose from. */
    places: fillPlaces,
    /** The daemon's clock, which events are told by, ms. */
    setClock(utc) { ahead = Math.abs(utc - Date.now()) > 2000 ? utc - Date.now() : 0; },
  };
}
