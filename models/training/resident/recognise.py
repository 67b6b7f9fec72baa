"""How well the embeddings tell objects apart: rank-1 and mean average precision.

    python -m resident.recognise MODEL.onnx --dataset SIMULATED_DIR [--tracks VIDEO TRACKS.mot.txt]

Simulated: objects of the held-out worlds; real: the boxes of a video's tracks, one identity per track, so the tracks
must be right. A query is an object in one picture, the gallery all objects in all other pictures.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from .evaluate import Resident
from .pictures import overlaps, simulated
from .sets import SIMULATED_HELD_OUT

SAME_PLACE = 0.5


def described(model: Resident, rgb: np.ndarray, boxes: np.ndarray) -> list[np.ndarray | None]:
    """The embedding of the surest candidate at each box, [D], or None where the network has no candidate there."""
    candidates, scores, embeddings = model.raw(rgb)
    surest = scores.max(1)
    found: list[np.ndarray | None] = []
    for box in boxes:
        iou, _ = overlaps(candidates, box)
        at = np.where(iou >= SAME_PLACE, surest, -1).argmax() if len(candidates) else 0
        found.append(embeddings[at] if len(candidates) and iou[at] >= SAME_PLACE else None)
    return found


def ranked(vectors: np.ndarray, identities: np.ndarray, pictures: np.ndarray) -> tuple[float, float, int]:
    """(rank-1, mAP, queries) of unit vectors [N, D]; a query is not compared with its own picture."""
    first, precision = [], []
    likeness = vectors @ vectors.T
    for query in range(len(vectors)):
        others = np.nonzero(pictures != pictures[query])[0]
        order = others[np.argsort(-likeness[query, others], kind="stable")]
        hits = identities[order] == identities[query]
        if hits.any():
            first.append(hits[0])
            precision.append((np.cumsum(hits)[hits] / (np.nonzero(hits)[0] + 1)).mean())
    return float(np.mean(first)), float(np.mean(precision)), len(first)


def report(name: str, rows: list[tuple[np.ndarray, int, int]], missed: int) -> None:
    """Prints one line. rows: (embedding, identity, picture)."""
    vectors, identities, pictures = (np.array(column) for column in zip(*rows))
    rank, precision, queries = ranked(vectors, identities, pictures)
    chance = np.mean([(identities == i).mean() for i in identities])
    print(f"{name}: rank-1 {rank * 100:.1f} %, mAP {precision * 100:.1f} %, {queries} queries of {len(set(identities.tolist()))} "
          f"identities, chance {chance * 100:.2f} %, {missed} boxes without a candidate")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--whole", action="store_true", help="all of the data set's worlds: it was not trained on")
    parser.add_argument("--tracks", nargs=2, type=Path, action="append", default=[], metavar=("VIDEO", "MOT"))
    parser.add_argument("--every", type=int, default=10, help="frames between two pictures of a video")
    arguments = parser.parse_args()
    model = Resident(arguments.model, (512, 288))
    if arguments.dataset:
        pictures = simulated(arguments.dataset, 0)
        videos = sorted({p.video for p in pictures})
        held_out = set(videos if arguments.whole else videos[: round(len(videos) * SIMULATED_HELD_OUT)])
        rows, missed = [], 0
        for number, picture in enumerate(p for p in pictures if p.video in held_out):
            for vector, identity in zip(described(model, picture.rgb, picture.boxes), picture.identities):
                if vector is None:
                    missed += 1
                else:
                    rows.append((vector, int(identity), number))
        report("simulated", rows, missed)
    for video, tracks in arguments.tracks:
        per_frame: dict[int, list[tuple[int, list[float]]]] = {}
        for line in tracks.read_text().splitlines():
            frame, identity, x, y, w, h = (float(v) for v in line.split(",")[:6])
            per_frame.setdefault(int(frame), []).append((int(identity), [x, y, x + w, y + h]))
        capture, rows, missed, number = cv2.VideoCapture(str(video)), [], 0, 0
        while True:
            good, bgr = capture.read()
            if not good:
                break
            number += 1
            if number % arguments.every or number not in per_frame:
                continue
            identities, boxes = zip(*per_frame[number])
            for vector, identity in zip(described(model, bgr[..., ::-1].copy(), np.array(boxes)), identities):
                if vector is None:
                    missed += 1
                else:
                    rows.append((vector, identity, number))
        report(video.name, rows, missed)


if __name__ == "__main__":
    main()
