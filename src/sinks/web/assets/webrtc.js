// Live video: what the camera sends, over WebRTC. Results come over the same WebSocket as the talk about
// the connection, each with the RTP time of its picture, and are drawn when that is shown.

const FIRST_PICTURE_MS = 10000; // as long as the daemon tries
const KEPT_RESULTS = 100;

// RTP times begin anew every thirteen hours: what matters is which way round is shorter.
const isAfter = (one, other) => ((one - other) | 0) > 0;

// Shows video in `video` until it ends or is closed. `onFrame(result, isExact)`: this is to be drawn now,
// exact if it is the result of the very picture that is shown. `onEnd({ reason, text, hasBegun })` is told once.
export function openVideo({ address, video, onOpen, onFrame, onEvents, onBegin, onEnd }) {
  const socket = new WebSocket(address), peer = new RTCPeerConnection();
  let results = [], drawn = null, shown = null, hasBegun = false, isOver = false, asked = 0;

  const close = () => {
    isOver = true;
    clearTimeout(patience);
    socket.close();
    peer.close();
    if (asked) video.cancelVideoFrameCallback(asked);
    video.srcObject = null;
  };
  const end = (reason, text) => {
    if (isOver) return;
    close();
    onEnd({ reason, text, hasBegun });
  };
  const patience = setTimeout(() => end("no_picture", "no video came"), FIRST_PICTURE_MS);
  const begin = () => {
    if (hasBegun || isOver) return;
    hasBegun = true;
    clearTimeout(patience);
    onBegin();
  };

  // The result of the picture that is shown or, while that is not known, the newest before it.
  const draw = () => {
    if (!hasBegun) return;
    let fitting = results.findLastIndex(({ rtp }) => rtp != null && shown != null && !isAfter(rtp, shown));
    // Without times, as in a browser that does not tell them, the newest.
    if (fitting < 0 && shown == null) fitting = results.length - 1;
    if (fitting < 0) return;
    const result = results[fitting];
    results = results.slice(fitting);
    if (result === drawn) return;
    drawn = result;
    onFrame({ ...result, picture: { width: video.videoWidth, height: video.videoHeight, close() {} } }, result.rtp === shown);
  };
  const onPicture = (_now, { rtpTimestamp }) => {
    if (isOver) return;
    shown = rtpTimestamp ?? null;
    begin();
    draw();
    asked = video.requestVideoFrameCallback(onPicture);
  };

  peer.ontrack = ({ receiver, streams, track }) => {
    // As soon as it comes: nothing is to be smoothed.
    receiver.jitterBufferTarget = 0;
    receiver.playoutDelayHint = 0;
    video.srcObject = streams[0] ?? new MediaStream([track]);
    if (video.requestVideoFrameCallback) asked = video.requestVideoFrameCallback(onPicture);
    else video.addEventListener("playing", () => { begin(); draw(); }, { once: true });
    video.play().catch(() => {});
  };
  const say = (words) => { if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(words)); };
  peer.onicecandidate = ({ candidate }) => {
    if (candidate?.candidate) say({ candidate: candidate.candidate, line: candidate.sdpMLineIndex ?? 0 });
  };
  peer.onconnectionstatechange = () => {
    if (peer.connectionState === "failed") end("not_connected", "the connection for video failed");
  };

  const hear = async (told) => {
    if (told.offer != null) {
      await peer.setRemoteDescription({ type: "offer", sdp: told.offer });
      await peer.setLocalDescription();
      say({ answer: peer.localDescription.sdp });
    } else if (told.candidate) {
      await peer.addIceCandidate({ candidate: told.candidate.candidate, sdpMLineIndex: told.candidate.line });
    } else if (told.frame) {
      results.push(told.frame);
      if (results.length > KEPT_RESULTS) results.shift();
      draw();
    } else if (told.events) onEvents(told.events);
    else if (told.end) end(told.end.reason, told.end.text);
  };
  // One after the other: a candidate must not overtake the offer.
  let turn = Promise.resolve();
  socket.onopen = onOpen;
  socket.onmessage = ({ data }) => {
    turn = turn.then(() => (isOver ? null : hear(JSON.parse(data)))).catch((error) => end("failed", String(error.message ?? error)));
  };
  socket.onclose = () => end("lost", "connection lost");
  return { close };
}
