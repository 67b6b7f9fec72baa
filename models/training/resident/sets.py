"""All pictures of a training, split into those that are trained on and those that are held out."""

import json
from pathlib import Path

import numpy as np

from .pictures import Picture, real_set, simulated
from .split import is_held_out, signature

SIMULATED_SHARE = 0.5
SIMULATED_HELD_OUT = 0.05
# How often the pictures of a real set are drawn, beside their number: camera views are what the network is for.
EMPHASIS = {"capston2-person-v11": 1.3, "manaus-traffic-v4": 2.0, "manaus-traffic-v5": 2.0, "atl-version-2": 2.5, "topview-vehicle-640": 2.0,
            "forklift-person-416": 1.3, "highway-object-detection-v40": 0.8}


def load(train: Path, teacher: Path, datasets: list[Path]) -> tuple[list[tuple[float, list[Picture]]], dict[str, list[Picture]]]:
    """Sources for `Batches`, and the held-out pictures of each set."""
    labels = json.loads(teacher.read_text())
    sources, held_out, identity = [], {}, 0
    for folder in sorted(path for path in train.iterdir() if (path / "names.txt").exists()):
        pictures = real_set(folder, labels, identity)
        identity += sum(len(p.labels) for p in pictures)
        out = is_held_out([p.name for p in pictures], np.stack([signature(p.rgb) for p in pictures]))
        kept = [p for p, is_out in zip(pictures, out) if not is_out]
        sources.append((len(kept) * EMPHASIS.get(folder.name, 1.0), kept))
        held_out[folder.name] = [p for p, is_out in zip(pictures, out) if is_out]
    real = sum(share for share, _ in sources)
    for dataset in datasets:
        pictures = simulated(dataset, identity)
        identity = max((int(p.identities.max(initial=identity)) for p in pictures), default=identity) + 1
        videos = sorted({p.video for p in pictures})
        out_videos = set(videos[: round(len(videos) * SIMULATED_HELD_OUT)])
        kept = [p for p in pictures if p.video not in out_videos]
        sources.append((real * SIMULATED_SHARE / (1 - SIMULATED_SHARE) / len(datasets), kept))
        held_out[dataset.name] = [p for p in pictures if p.video in out_videos]
    return sources, held_out
