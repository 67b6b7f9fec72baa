#!/usr/bin/env python3
"""Identities side by side: the trackers of Ultralytics and of Roboflow, as they are installed, and
gantryd's, on the same detections, each with the settings it ships with; scored by `gantryd eval`.

    python3 -m venv VENV && VENV/bin/pip install ultralytics lap trackers supervision
    VENV/bin/python tests/benches/trackers/peers.py --gantryd target/release/gantryd \\
        --format mot17 --out out MOT17/val

A sequence is a folder with det.txt, gt.txt and seqinfo.ini. No tracker is shown a picture, and none is
told the camera's motion unless --gmc is given; then those run that can take it, told by gmc.txt (a frame
and the six numbers of its 2x3 matrix, from the frame before, per line).
"""

import argparse
import configparser
import contextlib
import csv
import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Rows = list[tuple[int, float, float, float, float]]
Step = Callable[[np.ndarray, np.ndarray | None], Rows]
"""Detections of one frame, x y w h score each, and the camera's motion -> id x y w h each."""

PICTURE = np.zeros((2, 2, 3), dtype=np.uint8)
"""Stands for one, so that a tracker asks for the camera's motion."""


class Told:
    """In place of a tracker's own look at the camera's motion: what it is told."""

    method = "told"
    warp = np.eye(2, 3)

    def apply(self, *_: Any) -> np.ndarray:
        return self.warp

    estimate = apply

    def reset_params(self) -> None:
        pass


class Boxes:
    """Detections as the trackers of Ultralytics want them."""

    def __init__(self, xywh: np.ndarray, conf: np.ndarray) -> None:
        self.xywh, self.conf = xywh, conf
        self.cls = np.zeros(len(conf), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, index: Any) -> "Boxes":
        return Boxes(self.xywh[index], self.conf[index])

    @property
    def xyxy(self) -> np.ndarray:
        half = self.xywh[:, 2:] / 2
        return np.hstack([self.xywh[:, :2] - half, self.xywh[:, :2] + half])


def ultralytics(name: str) -> Callable[[float], Step]:
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = IterableSimpleNamespace(**YAML.load(check_yaml(f"{name}.yaml")))
    settings.gmc_method = "none"
    def begin(_fps: float) -> Step:
        tracker, told = TRACKER_MAP[name](args=settings), Told()
        if hasattr(tracker, "gmc"):
            tracker.gmc = told

        def step(found: np.ndarray, warp: np.ndarray | None) -> Rows:
            told.warp = warp
            centred = found[:, :4].copy()
            centred[:, :2] += centred[:, 2:] / 2
            boxes = Boxes(centred.astype(np.float32), found[:, 4].astype(np.float32))
            tracks = tracker.update(boxes, None if warp is None else PICTURE)
            return [(int(t[4]), t[0], t[1], t[2] - t[0], t[3] - t[1]) for t in tracks]

        return step

    return begin


def roboflow(name: str) -> Callable[[float], Step]:
    import supervision as sv
    import trackers

    def begin(fps: float) -> Step:
        tracker, told = getattr(trackers, name)(frame_rate=fps), Told()
        if hasattr(tracker, "cmc"):
            tracker.cmc = told

        def step(found: np.ndarray, warp: np.ndarray | None) -> Rows:
            told.warp = warp
            corners = np.hstack([found[:, :2], found[:, :2] + found[:, 2:4]])
            tracks = tracker.update(
                sv.Detections(
                    xyxy=corners.astype(np.float32).reshape(-1, 4),
                    confidence=found[:, 4].astype(np.float32),
                    class_id=np.zeros(len(found), dtype=int),
                ),
                *([] if warp is None else [PICTURE]),
            )
            if tracks.tracker_id is None:
                return []
            return [
                (int(it), x, y, right - x, bottom - y)
                for it, (x, y, right, bottom) in zip(tracks.tracker_id, tracks.xyxy)
                if it >= 0
            ]

        return step

    return begin


PEERS: dict[str, Callable[[], Callable[[float], Step]]] = {
    "ultralytics ByteTrack": lambda: ultralytics("bytetrack"),
    "ultralytics BoT-SORT": lambda: ultralytics("botsort"),
    "ultralytics TrackTrack": lambda: ultralytics("tracktrack"),
    "ultralytics OC-SORT": lambda: ultralytics("ocsort"),
    "roboflow SORT": lambda: roboflow("SORTTracker"),
    "roboflow ByteTrack": lambda: roboflow("ByteTrackTracker"),
    "roboflow C-BIoU": lambda: roboflow("CBIoUTracker"),
    "roboflow BoT-SORT": lambda: roboflow("BoTSORTTracker"),
    "roboflow OC-SORT": lambda: roboflow("OCSORTTracker"),
}


TAKES_MOTION = {"ultralytics BoT-SORT", "ultralytics TrackTrack", "roboflow BoT-SORT"}


def follow(sequence: Path, begin: Callable[[float], Step], gmc: bool, out: Path) -> tuple[int, float]:
    """Tracks one sequence; gives the frames and the seconds it took."""
    info = configparser.ConfigParser()
    info.read(sequence / "seqinfo.ini")
    frames = info.getint("Sequence", "seqLength")
    text = (sequence / "det.txt").read_text()
    rows = np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2) if text.strip() else np.zeros((0, 7))
    motion = np.loadtxt(sequence / "gmc.txt", ndmin=2) if gmc else np.zeros((0, 7))
    warps = {int(row[0]): row[1:].reshape(2, 3) for row in motion}
    step, lines, spent = begin(info.getfloat("Sequence", "frameRate")), [], 0.0
    for frame in range(1, frames + 1):
        found = rows[rows[:, 0] == frame][:, 2:7]
        began = time.perf_counter()
        tracks = step(found, warps.get(frame, np.eye(2, 3)) if gmc else None)
        spent += time.perf_counter() - began
        lines += [f"{frame},{i},{x:.2f},{y:.2f},{w:.2f},{h:.2f},1,-1,-1,-1\n" for i, x, y, w, h in tracks]
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{sequence.name}.txt").write_text("".join(lines))
    return frames, spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path, help="folder of sequences")
    parser.add_argument("--gantryd", type=Path, default=Path("target/release/gantryd"))
    parser.add_argument("--format", default="mot17", help="as gantryd eval takes it")
    parser.add_argument("--classes", help="as gantryd eval takes it")
    parser.add_argument("--gmc", action="store_true", help="tell the camera's motion (gmc.txt)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sequences = sorted(it for it in options.sequences.iterdir() if (it / "det.txt").exists())
    if not sequences:
        parser.error(f"{options.sequences}: no folder in it has a det.txt")
    print(f"{'tracker':24} {'HOTA':>7} {'AssA':>7} {'DetA':>7} {'IDF1':>7} {'MOTA':>7} {'IDSW':>6} {'us/frame':>9}")
    for name, make in PEERS.items():
        if options.gmc and name not in TAKES_MOTION:
            continue
        out = options.out / name.replace(" ", "-").lower()
        with contextlib.redirect_stdout(io.StringIO()):
            begin = make()
            times = [follow(sequence, begin, options.gmc, out) for sequence in sequences]
        frames, spent = (sum(column) for column in zip(*times))
        tell(name, score(options, out), spent / frames * 1e6)
    out = options.out / "gantryd"
    command = [options.gantryd, "replay", "--dets", options.sequences, "--out", out]
    command += ["--gmc", options.sequences] if options.gmc else []
    subprocess.run(command, check=True, capture_output=True)
    tell("gantryd" + (" (told)" if options.gmc else ""), score(options, out), None)
    return 0


def score(options: argparse.Namespace, tracks: Path) -> dict[str, str]:
    table = options.out / "score.csv"
    command = [options.gantryd, "eval", "--gt", options.sequences, "--tracks", tracks]
    command += ["--format", options.format, "--csv", table]
    command += ["--classes", options.classes] if options.classes else []
    subprocess.run(command, check=True, capture_output=True)
    with table.open() as file:
        return list(csv.DictReader(file))[-1]


def tell(name: str, row: dict[str, str], micros: float | None) -> None:
    share = lambda key: f"{float(row[key]) * (100 if float(row[key]) <= 1 else 1):7.2f}"
    shares = " ".join(share(key) for key in ("HOTA", "AssA", "DetA", "IDF1", "MOTA"))
    cost = f"{micros:9.0f}" if micros is not None else f"{'':>9}"
    print(f"{name:24} {shares} {float(row['IDSW']):6.0f} {cost}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
