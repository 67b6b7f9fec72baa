"""Tracks the sequences of a folder with a tracker that is not gantryd's.

    make_tracks.py TRACKER SEQUENCES OUT

SEQUENCES holds NAME/det.txt and NAME/seqinfo.ini, OUT gets NAME.txt. TRACKER is greedy (each detection goes
on with the track it overlaps most, nothing is remembered), or bytetrack or ocsort of the package `trackers`.
"""

import sys
from pathlib import Path

LEAST_SCORE = 0.3
LEAST_IOU = 0.3


def detections_of(path):
    frames = {}
    for line in path.read_text().splitlines():
        fields = line.split(",")
        frames.setdefault(int(fields[0]), []).append([float(field) for field in fields[2:7]])
    return frames


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def greedy(frames, last, _rate):
    live, ids = [], 0
    for frame in range(1, last + 1):
        boxes = [box for box in frames.get(frame, []) if box[4] > LEAST_SCORE]
        pairs = sorted(
            ((iou(old, box), i, j) for i, (_, old) in enumerate(live) for j, box in enumerate(boxes)), reverse=True
        )
        taken = {}
        for overlap, i, j in pairs:
            if overlap >= LEAST_IOU and i not in taken.values() and j not in taken:
                taken[j] = i
        found = []
        for j, box in enumerate(boxes):
            if j in taken:
                found.append((live[taken[j]][0], box))
            else:
                ids += 1
                found.append((ids, box))
        live = found
        yield from ((frame, *pair) for pair in found)


def packaged(name):
    import numpy as np
    import supervision
    import trackers

    kind = {"bytetrack": trackers.ByteTrackTracker, "ocsort": trackers.OCSORTTracker}[name]

    def track(frames, last, rate):
        tracker = kind(frame_rate=rate)
        for frame in range(1, last + 1):
            boxes = np.array(frames.get(frame, []), dtype=float).reshape(-1, 5)
            corners = np.c_[boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]]
            result = tracker.update(
                supervision.Detections(xyxy=corners, confidence=boxes[:, 4], class_id=np.zeros(len(boxes), int))
            )
            for corners, track_id, score in zip(result.xyxy, result.tracker_id, result.confidence):
                if track_id >= 0:
                    left, top, right, bottom = (float(edge) for edge in corners)
                    yield frame, int(track_id), [left, top, right - left, bottom - top, float(score)]

    return track


def main():
    name, sequences, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    track = greedy if name == "greedy" else packaged(name)
    out.mkdir(parents=True, exist_ok=True)
    for sequence in sorted(path for path in sequences.iterdir() if path.is_dir()):
        info = dict(
            line.split("=", 1) for line in (sequence / "seqinfo.ini").read_text().splitlines() if "=" in line
        )
        found = track(detections_of(sequence / "det.txt"), int(info["seqLength"]), float(info["frameRate"]))
        rows = (
            f"{frame},{track_id},{','.join(f'{value:.4f}' for value in box)},-1,-1,-1\n"
            for frame, track_id, box in found
        )
        (out / f"{sequence.name}.txt").write_text("".join(rows))


if __name__ == "__main__":
    main()
