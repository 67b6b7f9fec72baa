"""Pictures with their labels, from label files, the teacher and the simulator."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from .classes import CLASSES, FROM_NAME, INDEX, UNTYPED, VEHICLES

SAME_IOU, SAME_INSIDE = 0.4, 0.7
VAN, FORKLIFT = INDEX["van"], INDEX["forklift"]


@dataclass
class Picture:
    """One labelled picture. Boxes [M, 4] in pixels; identity -1 is unknown; `video` joins frames of one camera.
    `number` is where a store on a device (`on_device.py`) holds it."""

    name: str
    rgb: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    identities: np.ndarray
    known: np.ndarray
    ignore: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    ignore_classes: np.ndarray = field(default_factory=lambda: np.zeros((0, len(CLASSES)), bool))
    video: str = ""
    number: int = -1


def overlaps(boxes: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU of each of [M, 4] with one box [4], and the share of `box` that lies inside each."""
    side = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    shared = side[:, 0] * side[:, 1]
    own = (box[2] - box[0]) * (box[3] - box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return shared / (areas + own - shared + 1e-6), shared / (own + 1e-6)


def combined(own: list[tuple[int | None, np.ndarray]], labelled: set[int], teacher: list[list[float]]) -> tuple:
    """Own labels (class, or None for an untyped vehicle; box) and what a teacher says, as
    (boxes, labels, ignore, ignore_classes). Own labels win; a teacher's unsure box is ignored."""
    boxes, labels, ignore, silent = [], [], [], []

    def silence(box: np.ndarray, classes: set[int]) -> None:
        ignore.append(box)
        silent.append([c in classes for c in range(len(CLASSES))])

    said = [(int(t[0]), np.array(t[1:5], np.float32), bool(t[6])) for t in teacher]
    scores = [t[5] for t in teacher]
    for label, box in own:
        if label is None:
            near = [(score, c) for score, (c, b, _) in zip(scores, said) if c in VEHICLES and overlaps(box[None], b)[0][0] >= 0.5]
            label = max(near, default=(0.0, INDEX["car"]))[1]
            silence(box, set(VEHICLES) - {label})
        boxes.append(box)
        labels.append(label)
        if label in VEHICLES:
            silence(box, {VAN} - {label})
    own_boxes = np.array(boxes, np.float32).reshape(-1, 4)
    own_labels = np.array(labels, int)
    for label, box, sure in said:
        iou, inside = overlaps(own_boxes, box)
        same = (iou >= SAME_IOU) | (inside >= SAME_INSIDE)
        rivals = VEHICLES | {FORKLIFT}
        if (same & (own_labels == label)).any():
            continue
        if label in rivals and ((iou >= SAME_IOU) & np.isin(own_labels, list(rivals))).any():
            continue
        if label in VEHICLES:
            silence(box, {VAN})
        if label in labelled or not sure:
            silence(box, {label})
        else:
            boxes.append(box)
            labels.append(label)
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignore, np.float32).reshape(-1, 4),
        np.array(silent, bool).reshape(-1, len(CLASSES)),
    )


def read(paths: list[Path]) -> list[np.ndarray]:
    """The pictures of files, [H, W, 3] u8 RGB each."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda path: cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), paths))


def real_set(folder: Path, teacher: dict[str, list[list[float]]], first_identity: int) -> list[Picture]:
    """One set of `images/` and `labels/` (YOLO text) with `names.txt`, in name order."""
    names = (folder / "names.txt").read_text().split()
    classes = [None if name == UNTYPED else INDEX[FROM_NAME[name]] for name in names]
    labelled = set(VEHICLES) if None in classes else {c for c in classes if c is not None}
    pictures = []
    paths = sorted((folder / "images").iterdir())
    for path, rgb in zip(paths, read(paths)):
        height, width = rgb.shape[:2]
        own = []
        for line in (folder / "labels" / f"{path.stem}.txt").read_text().splitlines():
            number, cx, cy, w, h = (float(v) for v in line.split()[:5])
            box = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], np.float32) * [width, height, width, height]
            own.append((classes[int(number)], box.astype(np.float32)))
        key = f"{folder.name}/{path.stem}"
        boxes, labels, ignore, silent = combined(own, labelled, teacher.get(key, []))
        identities = np.arange(first_identity, first_identity + len(labels))
        first_identity += len(labels)
        known = np.ones(len(CLASSES), bool)
        pictures.append(Picture(key, rgb, boxes, labels, identities, known, ignore, silent, key))
    return pictures


def simulated(folder: Path, first_identity: int, least_visible: float = 0.25) -> list[Picture]:
    """A data set of `gantryd simulate --dataset`: COCO annotations with `visibility` and `track_id`."""
    truth = json.loads((folder / "annotations.json").read_text())
    per_image: dict[int, list[dict]] = {}
    for one in truth["annotations"]:
        per_image.setdefault(one["image_id"], []).append(one)
    index = {c["id"]: INDEX[c["name"]] for c in truth["categories"] if c["name"] in INDEX}
    pictures = []
    paths = [folder / "images" / Path(image["file_name"]).name for image in truth["images"]]
    for image, rgb in zip(truth["images"], read(paths)):
        rows = [a for a in per_image.get(image["id"], []) if a["category_id"] in index]
        boxes = np.array([a["bbox"] for a in rows], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([index[a["category_id"]] for a in rows], np.int64)
        identities = np.array([first_identity + a["track_id"] for a in rows], np.int64)
        sides = (boxes[:, 2:] - boxes[:, :2]).min(1) if len(boxes) else np.zeros(0)
        seen = np.array([a.get("visibility", 1.0) >= least_visible for a in rows], bool) & (sides >= 5)
        hidden = np.zeros((int((~seen).sum()), len(CLASSES)), bool)
        hidden[np.arange(len(hidden)), labels[~seen]] = True
        pictures.append(
            Picture(image["file_name"], rgb, boxes[seen], labels[seen], identities[seen], np.ones(len(CLASSES), bool),
                    boxes[~seen], hidden, f"{folder.name}/{image['video_id']}")
        )
    return pictures
