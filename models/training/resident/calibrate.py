"""Makes a score the probability that its box is right, so that thresholds mean the same as with other detectors.

    python -m resident.calibrate CHECKPOINT.pt --train DIR --teacher FILE.json [--dataset DIR] [--fresh DIR]

Right is a box that overlaps a labelled object of its class, which no surer box has, by RIGHT or more. The logarithm of
the odds of a score is scaled and shifted for the least log loss (Platt 1999, "Probabilistic Outputs"). Pictures: the
simulated ones that are held out of the training or of a data set that had no part in it (`--fresh`), and as many real
ones, which were trained on: the held-out ones are for measuring. Scale and shift are written into
the checkpoint and go into the exported file.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from .evaluate import letterboxed
from .export import INPUT, Exported, restored
from .model import ResIdent
from .pictures import Picture, overlaps, simulated
from .sets import load
from .train import save

RIGHT = 0.5
PICTURES = 240
# Weaker answers are noise that no threshold lets through.
FLOOR = 0.05


def judged(boxes: np.ndarray, scores: np.ndarray, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] in pixels of the picture and scores [N, C], best first -> (scores [M], right [M]) of those that the
    labels can judge."""
    used = np.zeros(len(picture.boxes), bool)
    told, right = [], []
    for box, row in zip(boxes, scores):
        label, score = int(row.argmax()), float(row.max())
        if score < FLOOR:
            continue
        iou = overlaps(picture.boxes, box)[0] if len(picture.boxes) else np.zeros(0)
        fits = (iou >= RIGHT) & (picture.labels == label) & ~used
        if fits.any():
            used[np.where(fits, iou, -1).argmax()] = True
        elif not picture.known[label] or is_silent(box, label, picture):
            continue
        told.append(score)
        right.append(fits.any())
    return np.array(told), np.array(right, bool)


def is_silent(box: np.ndarray, label: int, picture: Picture) -> bool:
    """Whether the labels say nothing about the class at the box."""
    regions = picture.ignore[picture.ignore_classes[:, label]]
    if not len(regions):
        return False
    centre = (box[:2] + box[2:]) / 2
    return bool((overlaps(regions, box)[0] >= RIGHT).any() or ((regions[:, :2] < centre) & (centre < regions[:, 2:])).all(1).any())


def fitted(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Scale and shift of the log odds of scores [M] in 0..1 for the least log loss against right [M]."""
    odds = torch.from_numpy(np.log(scores / (1 - scores)))
    wanted = torch.from_numpy(right.astype(np.float64))
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(odds * line[0] + line[1], wanted)
        value.backward()
        return value

    search.step(loss)
    return float(line[0].detach()), float(line[1].detach())


@torch.no_grad()
def calibration(net: ResIdent, pictures: list[Picture]) -> tuple[float, float]:
    """Scale and shift for a network, from labelled pictures."""
    net.calibration = (1.0, 0.0)
    model, told, right = Exported(net).eval(), [], []
    for picture in pictures:
        images, scale, (left, top) = letterboxed(picture.rgb, *INPUT)
        boxes, scores, _ = (out[0].double().numpy() for out in model(torch.from_numpy(images)))
        row, is_right = judged((boxes - [left, top, left, top]) / scale, scores, picture)
        told.append(row)
        right.append(is_right)
    with torch.enable_grad():
        return fitted(np.concatenate(told), np.concatenate(right))


def spread(pictures: list[Picture], count: int) -> list[Picture]:
    """`count` of them, evenly."""
    return [pictures[i] for i in np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(int)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, action="append", default=[])
    parser.add_argument("--fresh", type=Path, action="append", default=[], help="simulated data set that was not trained on")
    arguments = parser.parse_args()
    sources, held_out = load(arguments.train, arguments.teacher, arguments.dataset)
    fresh = [p for folder in arguments.dataset for p in held_out[folder.name]]
    fresh += [p for folder in arguments.fresh for p in simulated(folder, 0)]
    real = [p for _, pictures in sources[: len(sources) - len(arguments.dataset)] for p in pictures]
    net, _ = restored(arguments.checkpoint)
    found = calibration(net, spread(fresh, PICTURES) + spread(real, PICTURES))
    state = torch.load(arguments.checkpoint, map_location="cpu")
    save(arguments.checkpoint, **state | {"calibration": found})
    sample = ", ".join(f"{s} -> {1 / (1 + np.exp(-np.log(s / (1 - s)) * found[0] - found[1])):.2f}" for s in (0.1, 0.2, 0.3, 0.5, 0.7))
    print(f"{arguments.checkpoint}: odds ^ {found[0]:.3f} * e ^ {found[1]:.3f}; {sample}")


if __name__ == "__main__":
    main()
