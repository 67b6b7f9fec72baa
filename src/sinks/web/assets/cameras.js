// Cameras added, changed and removed, for an operator. What is sent is tried first; nothing of an
// address or a password is ever shown again.

const find = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...inside);
  return element;
};

const FIELDS = [
  { key: "uri", name: "Address", hint: "rtsp://192.0.2.10/stream1", wide: true },
  { key: "user", name: "User", hint: "none" },
  { key: "password", name: "Password", hint: "none", secret: true },
  { key: "transport", name: "Transport", options: ["tcp", "udp", "auto"] },
  { key: "codec", name: "Codec", options: ["auto", "h264", "h265", "mjpeg"] },
  { key: "latency_ms", name: "Jitter buffer, ms", hint: "200", number: true },
  { key: "stall_secs", name: "Silent is lost after, s", hint: "5", number: true },
  { key: "classes", name: "Only these classes", hint: "all", list: true },
  { key: "annotate", name: "Record with boxes", options: ["true", "false"], flag: true },
  { key: "raw", name: "Record as sent", options: ["true", "false"], flag: true },
  { key: "required", name: "gantryd is ready only with it", options: ["true", "false"], flag: true },
];

export function setUpCameras({ api, csrf, cameras, chosen, mayLeave }) {
  const dialog = find("camera-dialog"), told = find("camera-told");
  let id = null; // null adds one
  const say = (text) => { told.textContent = text; };
  const busy = (isBusy) => { for (const button of dialog.querySelectorAll("button:not(#camera-close)")) button.disabled = isBusy; };

  function show(of) {
    id = of;
    find("camera-title").textContent = of === null ? "New camera" : `Camera ${of}`;
    find("camera-which").value = of ?? "";
    const field = (name, input, isWide) => make("label", { textContent: name, className: isWide ? "wide" : "" }, input);
    const rows = of === null ? [field("Name", make("input", { id: "camera-id", maxLength: 64, required: true, placeholder: "gate-north" }))] : [];
    for (const { key, name, hint, options, wide, secret } of FIELDS) {
      const input = options
        ? make("select", {}, make("option", { value: "", textContent: of === null ? "(usual)" : "(as it is)" }), ...options.map((value) => make("option", { value, textContent: { true: "yes", false: "no" }[value] ?? value })))
        : make("input", { type: secret ? "password" : "text", placeholder: of === null ? hint : "(as it is)", autocomplete: secret ? "new-password" : "off", spellcheck: false, required: of === null && key === "uri" });
      input.dataset.key = key;
      rows.push(field(name, input, wide));
    }
    find("camera-fields").replaceChildren(...rows);
    find("camera-remove").hidden = of === null;
    find("camera-save").textContent = of === null ? "Add" : "Change";
    say("");
  }

  function words() {
    const words = of();
    for (const input of find("camera-fields").querySelectorAll("[data-key]")) {
      const { key } = input.dataset, text = key === "password" ? input.value : input.value.trim();
      if (!text) continue;
      const { number, list, flag } = FIELDS.find((it) => it.key === key);
      words[key] = list ? text.split(",").map((it) => it.trim()).filter(Boolean) : flag ? text === "true" : number && !Number.isNaN(Number(text)) ? Number(text) : text;
    }
    return words;
  }
  const of = () => (id === null ? { id: find("camera-id").value.trim() } : {});

  async function send(method, path, body, isTrial) {
    // Somebody else may have changed the file since the page was loaded: what is sent is small enough to be
    // made on the text as it is now.
    const [first] = cameras();
    const config = await fetch(`${api}/cameras/${encodeURIComponent(first.id)}/config`);
    const { revision } = await config.json();
    const answer = await fetch(`${api}/${path}${isTrial ? "?dry_run=true" : ""}`, {
      method, headers: { "Content-Type": "application/json", "If-Match": `"${revision}"`, "X-CSRF-Token": csrf },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (answer.ok) return true;
    const text = await answer.text();
    let faults = null;
    try { ({ faults } = JSON.parse(text)); } catch { /* a plain refusal */ }
    say(faults ? faults.map((it) => it.text).join("\n") : text);
    return false;
  }

  async function save(isTrial) {
    if (!find("camera-form").reportValidity()) return;
    const body = words(), path = id === null ? "cameras" : `cameras/${encodeURIComponent(id)}`, method = id === null ? "POST" : "PUT";
    if (!Object.keys(body).length) { say("Nothing was filled in: everything stays as it is."); return; }
    busy(true);
    try {
      say("trying …");
      if (!await send(method, path, body, true)) return;
      if (isTrial) { say("Would be taken. Whether the camera delivers shows when it is opened."); return; }
      say("opening the camera …");
      if (await send(method, path, body, false)) again(body.id ?? id);
    } catch { say("no answer, is gantryd running?"); } finally { busy(false); }
  }

  async function remove() {
    if (!confirm(`Remove ${id}? What it recorded stays; its zones and lines go.`)) return;
    busy(true);
    try {
      say("removing …");
      if (await send("DELETE", `cameras/${encodeURIComponent(id)}`, null, false)) again("");
    } catch { say("no answer, is gantryd running?"); } finally { busy(false); }
  }

  /** The page anew, with this camera. */
  function again(next) {
    location.hash = encodeURIComponent(next);
    location.reload();
  }

  find("manage").hidden = false;
  find("manage").addEventListener("click", () => {
    if (!mayLeave()) return;
    const names = cameras().map((camera) => camera.id);
    find("camera-which").replaceChildren(make("option", { value: "", textContent: "New camera …" }), ...names.map((value) => make("option", { value, textContent: value })));
    show(names.includes(chosen()) ? chosen() : null);
    dialog.showModal();
  });
  find("camera-which").addEventListener("change", () => show(find("camera-which").value || null));
  find("camera-close").addEventListener("click", () => dialog.close());
  find("camera-try").addEventListener("click", () => save(true));
  find("camera-remove").addEventListener("click", remove);
  find("camera-form").addEventListener("submit", (event) => { event.preventDefault(); save(false); });
  // An address or password that was typed does not stay in the page.
  dialog.addEventListener("close", () => find("camera-fields").replaceChildren());
}
