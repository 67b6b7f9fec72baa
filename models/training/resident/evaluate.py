"""Average precision on held-out pictures, side by side with other detectors.

    python -m resident.evaluate --train DIR --held-out FILE MODEL.onnx[@WIDTHxHEIGHT]…

The truth of a set is its own labels alone, for the classes that it labels; no teacher has a say. A van counts as a car,
because no set and none of the other detectors knows vans; `vehicle` is car, van, truck and bus together.
"""

import argparse
import contextlib
import io
import json
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from .classes import CLASSES, FROM_COCO, FROM_NAME, INDEX, UNTYPED, VEHICLES
from .teacher import Detector

FLOOR = 0.01
VEHICLE = len(CLASSES)
GROUPS = (*CLASSES, "vehicle")
Box = tuple[float, ...]


def letterboxed(rgb: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Picture in the middle of a grey canvas: ([1, 3, H, W] f32 in 0..1, scale, (left, top) of the picture)."""
    rows, columns = rgb.shape[:2]
    scale = min(width / columns, height / rows)
    w, h = round(columns * scale), round(rows * scale)
    left, top = (width - w) // 2, (height - h) // 2
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[top : top + h, left : left + w] = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]).astype(np.float32) / 255, scale, (left, top)


class Resident:
    """An exported ResIdent; gives (left, top, right, bottom, class, score) in frame pixels."""

    def __init__(self, path: Path, size: tuple[int, int], threads: int = 1, floor: float = FLOOR) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.width, self.height = size
        self.floor = floor

    def raw(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes [N, 4] in frame pixels, scores [N, C], embeddings [N, D]."""
        images, scale, (left, top) = letterboxed(rgb, self.height, self.width)
        boxes, scores, embeddings = (out[0] for out in self.session.run(None, {"images": images}))
        return (boxes - [left, top, left, top]) / scale, scores, embeddings

    def __call__(self, rgb: np.ndarray) -> list[Box]:
        boxes, scores, _ = self.raw(rgb)
        best = scores.argmax(1)
        return [(*box, int(c), float(s[c])) for box, s, c in zip(boxes, scores, best) if s[c] >= self.floor]


class OfCoco:
    """A COCO detector whose classes are turned into ours."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.detector = Detector(path, threads, FLOOR)
        self.session = self.detector.session

    def __call__(self, rgb: np.ndarray) -> list[Box]:
        return [(*b[:4], FROM_COCO[int(b[4])], b[5]) for b in self.detector(rgb) if int(b[4]) in FROM_COCO]


def opened(text: str, threads: int = 1) -> Resident | OfCoco:
    """`FILE.onnx` or `FILE.onnx@WIDTHxHEIGHT` (ours; others have the size of their file)."""
    path, _, size = text.partition("@")
    if "resident" not in Path(path).name:
        return OfCoco(Path(path), threads)
    width, height = (int(v) for v in (size or "512x288").split("x"))
    return Resident(Path(path), (width, height), threads)


def average_precision(truth: list[tuple[int, int, np.ndarray]], found: list[tuple[int, Box]], label: int) -> tuple[float, float]:
    """(AP50, AP50-95) of one class. truth: (picture, class, box [4]); found: (picture, box). By pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    wanted = {label} if label != VEHICLE else set(VEHICLES)
    corner = lambda b: [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])]
    pictures = sorted({p for p, _, _ in truth} | {p for p, _ in found})
    rows = [(p, b) for p, c, b in truth if c in wanted]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": p} for p in pictures],
            "categories": [{"id": 1}],
            "annotations": [
                {"id": i + 1, "image_id": p, "category_id": 1, "bbox": corner(b), "area": float((b[2] - b[0]) * (b[3] - b[1])), "iscrowd": 0}
                for i, (p, b) in enumerate(rows)
            ],
        }
        reference.createIndex()
        results = [{"image_id": p, "category_id": 1, "bbox": corner(b), "score": float(b[5])} for p, b in found if b[4] in wanted]
        if not results or not rows:
            return (0.0, 0.0) if rows else (float("nan"), float("nan"))
        score = COCOeval(reference, reference.loadRes(results), "bbox")
        score.evaluate()
        score.accumulate()
        score.summarize()
    return float(score.stats[1]), float(score.stats[0])


def held_out_truth(folder: Path, names: set[str]) -> tuple[list[tuple[Path, list[tuple[int, np.ndarray]]]], set[int]]:
    """Own labels of the named pictures of a set, and which classes it labels (VEHICLE alone where untyped)."""
    words = (folder / "names.txt").read_text().split()
    classes = [VEHICLE if word == UNTYPED else INDEX[FROM_NAME[word]] for word in words]
    as_car = {INDEX["van"]: INDEX["car"]}
    pictures = []
    for path in sorted((folder / "images").iterdir()):
        if f"{folder.name}/{path.stem}" not in names:
            continue
        height, width = cv2.imread(str(path)).shape[:2]
        boxes = []
        for line in (folder / "labels" / f"{path.stem}.txt").read_text().splitlines():
            number, cx, cy, w, h = (float(v) for v in line.split()[:5])
            box = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]) * [width, height, width, height]
            label = classes[int(number)]
            boxes.append((INDEX["car"] if label == VEHICLE else as_car.get(label, label), box))
        pictures.append((path, boxes))
    known = {as_car.get(c, c) for c in classes}
    return pictures, known | {VEHICLE} if VEHICLES & known else known


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="list made by resident.held_out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names = set(arguments.held_out.read_text().split("\n"))
    report: dict[str, dict] = {}
    for text in arguments.models:
        model, times = opened(text), []
        number, rows = 0, {}
        per_class: dict[int, tuple[list, list]] = {}
        for folder in sorted(p for p in arguments.train.iterdir() if (p / "names.txt").exists()):
            pictures, known = held_out_truth(folder, names)
            truth, found = [], []
            for path, boxes in pictures:
                rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
                began = time.perf_counter()
                answer = model(rgb)
                times.append(time.perf_counter() - began)
                van = INDEX["van"]
                found += [(number, (*b[:4], INDEX["car"] if b[4] == van else b[4], b[5])) for b in answer]
                truth += [(number, label, box) for label, box in boxes]
                number += 1
            for label in sorted(known):
                score = average_precision(truth, found, label)
                rows[f"{folder.name}/{GROUPS[label]}"] = score
                into = per_class.setdefault(label, ([], []))
                into[0].extend(truth)
                into[1].extend(found)
        for label, (truth, found) in sorted(per_class.items()):
            rows[f"all/{GROUPS[label]}"] = average_precision(truth, found, label)
        report[text] = {"ms": float(np.median(times) * 1e3), "ap": rows}
        print(f"{Path(text).name}: {report[text]['ms']:.1f} ms with pre- and post-processing", flush=True)
    keys = list(next(iter(report.values()))["ap"])
    print(f"{'AP50 (AP50-95), %':44}" + "".join(f"{Path(t).name[:17]:>19}" for t in report))
    for key in keys:
        print(f"{key:44}" + "".join(f"{r['ap'][key][0] * 100:11.1f} ({r['ap'][key][1] * 100:4.1f})" for r in report.values()))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
