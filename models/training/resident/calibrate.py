"""Makes scores say how often such boxes are right: a score of 0.5 is right half of the time.

    python -m resident.calibrate CHECKPOINT.pt MODEL.onnx OUT.pt --train DIR --held-out FILE

MODEL.onnx is the export of CHECKPOINT.pt. A slope and an offset for all logits are fitted on held-out pictures (Platt
1999, "Probabilistic Outputs for Support Vector Machines") and worked into the last convolution of the one-to-one head.
The order of scores stays, and so does average precision.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .classes import CLASSES, INDEX, VEHICLES
from .evaluate import VEHICLE, Resident, held_out_truth
from .pictures import overlaps
from .train import save

RIGHT_IOU = 0.5
LEAST_SCORE = 0.02


def outcomes(found: list[tuple[float, ...]], truth: list[tuple[int, np.ndarray]], known: set[int]) -> list[tuple[float, bool]]:
    """(score, was it right) of each box of a labelled class, best first; an object is found once."""
    left, rows = list(truth), []
    for *box, label, score in sorted(found, key=lambda one: -one[5]):
        label = INDEX["car"] if label == INDEX["van"] else int(label)
        any_vehicle = VEHICLE in known and not known & set(range(len(CLASSES)))
        if not (label in known or (any_vehicle and label in VEHICLES)):
            continue
        same = [i for i, (c, _) in enumerate(left) if c == label or (any_vehicle and label in VEHICLES)]
        ious = [overlaps(left[i][1][None], np.array(box))[0][0] for i in same]
        hit = bool(ious) and max(ious) >= RIGHT_IOU
        if hit:
            left.pop(same[int(np.argmax(ious))])
        rows.append((score, hit))
    return rows


def fitted(rows: list[tuple[float, bool]]) -> tuple[float, float]:
    """Slope > 0 and offset that make sigmoid(slope * logit + offset) the chance of being right."""
    scores = torch.tensor([score for score, _ in rows], dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    right = torch.tensor([hit for _, hit in rows], dtype=torch.float64)
    logits = scores.logit()
    line = torch.tensor([0.0, 0.0], dtype=torch.float64, requires_grad=True)
    rule = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        rule.zero_grad()
        loss = F.binary_cross_entropy_with_logits(line[0].exp() * logits + line[1], right)
        loss.backward()
        return loss

    rule.step(closure)
    slope, offset = line.detach()
    return float(slope.exp()), float(offset)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    arguments = parser.parse_args()
    names = set(arguments.held_out.read_text().split("\n"))
    model, rows = Resident(arguments.model, (512, 288), floor=LEAST_SCORE), []
    for folder in sorted(p for p in arguments.train.iterdir() if (p / "names.txt").exists()):
        pictures, known = held_out_truth(folder, names)
        for path, truth in pictures:
            rows += outcomes(model(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)), truth, known)
    slope, offset = fitted(rows)
    state = torch.load(arguments.checkpoint, map_location="cpu")
    average = state["average"]
    average["one.score.weight"] *= slope
    average["one.score.bias"] = average["one.score.bias"] * slope + offset
    save(arguments.out, average=average, step=state["step"], size=state["size"])
    print(f"{len(rows)} boxes, {sum(hit for _, hit in rows)} right: slope {slope:.3f}, offset {offset:+.3f}")


if __name__ == "__main__":
    main()
