"""What the network says of a picture, by PyTorch alone: for comparing gantryd's own way from planes to boxes.

    python -m resident.reference CHECKPOINT.pt DIR

Every DIR/<name>.yuv (I420 of 640x360, limited-range BT.601) gets a row in DIR/resident.json: {name, width, height,
boxes: [[left, top, right, bottom, class, confidence, embedding…], …]} in frame pixels, confidence 0.25 and more.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .boxes import intersection_over_union
from .export import BEST, INPUT, SAME, restored
from .model import ResIdent
from .teacher import reference_decoders

FLOOR = 0.25
SIZE = (640, 360)


def said(net: ResIdent, planes: list[np.ndarray]) -> list[list[float]]:
    """I420 planes -> rows of 6 + D values, best first."""
    reference = reference_decoders()
    height, width = INPUT
    canvas, back = reference.letterbox(reference.Planes(planes), width, height, 114, True)
    with torch.no_grad():
        images = torch.from_numpy(canvas / 255).float().permute(2, 0, 1)[None]
        maps = net.neck(net.backbone(images))
        raw = net(images)
        vectors = F.normalize(net.embedder(maps)[0], dim=-1)
    scale, shift = net.calibration
    scores, labels = ((raw.one_logits[0] + raw.many_logits[0]) / 2 * scale + shift).sigmoid().max(-1)
    boxes = raw.many_boxes[0]
    told = scores.argsort(descending=True)[:BEST]
    best = without_duplicates(boxes, [i for i in told.tolist() if scores[i] >= FLOOR])
    boxes = torch.stack([mean_of_same(boxes[i], boxes[told], scores[told]) for i in best]) if best else boxes[:0]
    placed = back(boxes.double().numpy())
    size = [planes[0].shape[1], planes[0].shape[0]] * 2
    return [[*np.clip(box, 0, size).round(3).tolist(), int(labels[i]), round(float(scores[i]), 5),
             *(round(v, 5) for v in vectors[i].tolist())] for i, box in zip(best, placed)]


def without_duplicates(boxes: torch.Tensor, order: list[int]) -> list[int]:
    """Of the rows in `order` of `boxes` [N, 4] those that overlap no earlier one that stays by more than SAME."""
    stays: list[int] = []
    for i in order:
        if all(intersection_over_union(boxes[i], boxes[j]) <= SAME for j in stays):
            stays.append(i)
    return stays


def mean_of_same(box: torch.Tensor, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The mean of those of `boxes` [N, 4] that overlap `box` [4] by more than SAME, by their squared scores [N] -> [4]."""
    weights = (intersection_over_union(box, boxes) > SAME) * scores.square()
    return (boxes * weights[:, None]).sum(0) / weights.sum()


def planes_of(path: Path) -> list[np.ndarray]:
    """Y [H, W], U and V [H / 2, W / 2] u8 of a file."""
    width, height = SIZE
    data = np.frombuffer(path.read_bytes(), np.uint8)
    y, u, v = np.split(data, [width * height, width * height * 5 // 4])
    return [y.reshape(height, width), *(c.reshape(height // 2, width // 2) for c in (u, v))]


def main() -> None:
    """Command line."""
    checkpoint, folder = (Path(argument) for argument in sys.argv[1:])
    net, _ = restored(checkpoint)
    rows = []
    for path in sorted(folder.glob("*.yuv")):
        rows.append({"name": path.stem, "width": SIZE[0], "height": SIZE[1], "boxes": said(net, planes_of(path))})
        print(f"{path.stem}: {len(rows[-1]['boxes'])} boxes")
    (folder / "resident.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
