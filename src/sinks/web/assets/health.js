// How a camera and the process are doing: now, and as charts of the last hour.

const NAMESPACE = "http://www.w3.org/2000/svg";
const MINUTES = 60, EVERY = 10e3, WIDE = 300, HIGH = 56;

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
const bytes = (value) => (value >= 1e12 ? `${(value / 1e12).toFixed(1)} TB` : value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`);
const round = (value) => (value >= 100 ? String(Math.round(value)) : value.toFixed(1));
const since = (text) => {
  const at = new Date(text), isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString();
};

/** A small chart: samples over the last hour. What happens is drawn as bars, what is as a line. */
function chart(name, samples, { value, text, newest, isCount = false }) {
  const last = samples.at(-1)?.at_s ?? 0, first = last - MINUTES * 60;
  const points = samples.map((it) => [it.at_s, value(it)]).filter(([at]) => at >= first);
  const known = points.filter(([, y]) => y !== null && y !== undefined).map(([, y]) => y);
  const most = Math.max(...known, 0), top = most > 0 ? most * 1.1 : 1;
  const x = (at) => (at - first) / (MINUTES * 60) * WIDE, y = (v) => HIGH - v / top * (HIGH - 2);
  const svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}, the last hour: at most ${known.length ? text(most) : "unknown"}` });
  if (isCount) {
    for (const [at, v] of points) if (v) svg.append(draw("line", { x1: x(at), x2: x(at), y1: HIGH, y2: y(v), class: "count" }));
  } else {
    let line = "", area = "", from = null, before = null;
    const close = () => { if (from !== null) area += `L${x(before)},${HIGH} L${x(from)},${HIGH}Z`; from = null; };
    for (const [at, v] of points) {
      if (v === null || v === undefined) { close(); continue; }
      if (from !== null && at - before > 35) close();
      const step = `${from === null ? "M" : "L"}${x(at).toFixed(1)},${y(v).toFixed(1)} `;
      line += step; area += step;
      if (from === null) from = at;
      before = at;
    }
    close();
    svg.append(draw("path", { d: area, class: "area" }), draw("path", { d: line, class: "line" }));
  }
  const sum = known.reduce((all, v) => all + v, 0);
  const told = newest ?? (isCount ? text(sum) : known.length ? text(known.at(-1)) : "–");
  return make("figure", { className: "trend" },
    make("figcaption", {}, make("span", { textContent: name }), make("b", { textContent: told })), svg,
    make("small", { textContent: known.length ? `at most ${text(most)}${isCount ? " in 10 s" : ""}` : "no sample yet" }));
}

const facts = (rows) => rows.filter(([, value]) => value !== null && value !== undefined)
  .flatMap(([name, value, isBad]) => [make("dt", { textContent: name }), make("dd", { textContent: value, className: isBad ? "bad" : "" })]);

export function setUpHealth({ ask }) {
  let camera = null;

  async function refresh() {
    const of = camera;
    if (!of || document.hidden || !find("health-panel").open) return;
    let samples, system;
    try {
      [samples, system] = await Promise.all([ask(`cameras/${encodeURIComponent(of)}/health?last=${MINUTES}`), ask(`system?last=${MINUTES}`)]);
    } catch (error) { find("health-told").textContent = String(error.message ?? error); find("health-told").hidden = false; return; }
    if (of !== camera) return;
    find("health-told").hidden = true;
    find("camera-trends").replaceChildren(
      chart("Results per second", samples, { value: (it) => it.fps, text: round }),
      chart("Age of the newest", samples, { value: (it) => it.age_s, text: (v) => `${v.toFixed(v < 10 ? 2 : 0)} s` }),
      chart("Frames dropped", samples, { value: (it) => it.dropped, text: String, isCount: true }),
      chart("Lost connections", samples, { value: (it) => it.reconnects, text: String, isCount: true }),
    );
    const { process, disk, detector, sinks, gpus, history = [] } = system;
    const gpuOf = (index) => (sample) => sample.gpus?.find((it) => it.index === index);
    find("system-trends").replaceChildren(
      chart(`Processor (of ${(process?.cores ?? 1) * 100} %)`, history, { value: (it) => it.cpu_percent, text: (v) => `${Math.round(v)} %` }),
      chart("Memory", history, { value: (it) => it.memory_bytes, text: bytes, newest: process && bytes(process.memory_bytes) }),
      chart("Free disk", history, { value: (it) => it.disk_free_bytes, text: bytes, newest: disk && bytes(disk.free_bytes) }),
      ...gpus.flatMap(({ index, memory_total_bytes: total }) => [
        chart(`GPU ${index}`, history, { value: (it) => gpuOf(index)(it)?.busy_percent, text: (v) => `${v} %` }),
        chart(`GPU ${index}: memory${total ? ` (of ${bytes(total)})` : ""}`, history, { value: (it) => gpuOf(index)(it)?.memory_used_bytes, text: bytes }),
      ]),
    );
    const device = detector.device === null ? "" : ` ${detector.device}`;
    find("system-facts").replaceChildren(...facts([
      ["Detector", `${detector.model} on ${detector.provider}${device}, ${detector.sessions} session${detector.sessions === 1 ? "" : "s"}`],
      ["Why there", detector.why],
      ...gpus.map(({ index, name, celsius }) => [`GPU ${index}`, celsius === null ? name : `${name}, ${celsius} °C`]),
      ["Threads, open files", process && `${process.threads}, ${process.open_files}`],
      ["Disk", disk && `${bytes(disk.free_bytes)} of ${bytes(disk.total_bytes)} free`],
      ["Viewers", String(system.viewers)],
      ...sinks.map(({ name, connected, since: at, waiting }) => [`Sink ${name}`, `${connected ? "connected" : "not connected"} since ${since(at)}, ${waiting} waiting`, !connected]),
    ]));
    document.body.dataset.samples = samples.length;
  }

  find("health-panel").addEventListener("toggle", refresh);
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, EVERY);

  return {
    /** Shows another camera. */
    choose(id) {
      camera = id;
      find("camera-trends").replaceChildren();
      refresh();
    },
  };
}
