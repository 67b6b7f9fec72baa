"""Batches that depend on the seed and the step alone, so that a resumed training sees what an unbroken one sees."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .augment import View, compose, draw
from .classes import CLASSES
from .loss import Targets
from .on_device import Plan, plan
from .pictures import Picture

# Heights and widths; most cameras are wide. Batches of larger views have fewer of them.
SHAPES = ((352, 352), (288, 512), (288, 512), (352, 640))
USUAL = 288 * 512
MOSAIC_SHARE = 0.5


class Batches(Dataset):
    """`self[step]` is a batch of pairs of views. Both views of a pair show the same pictures, or two frames of one
    video, so that identities recur."""

    def __init__(self, sources: list[tuple[float, list[Picture]]], pairs: int, seed: int, steps: int,
                 shapes: tuple = SHAPES, plans: bool = False) -> None:
        """`sources` are (share, pictures): how often a set is drawn from, whatever its size. `pairs` is for 512x288.
        With `plans` a batch is not drawn: it is for `on_device.Store`."""
        self.plans = plans
        shares = np.array([share for share, _ in sources])
        self.shares, self.seed, self.pairs, self.steps, self.shapes = shares / shares.sum(), seed, pairs, steps, shapes
        self.videos: list[list[list[Picture]]] = []
        for _, pictures in sources:
            videos: dict[str, list[Picture]] = defaultdict(list)
            for picture in pictures:
                videos[picture.video].append(picture)
            self.videos.append(list(videos.values()))

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor | Plan, Targets]:
        rng = np.random.default_rng((self.seed, step))
        height, width = self.shapes[rng.integers(len(self.shapes))]
        views: list[View] = []
        for _ in range(max(1, round(self.pairs * min(1.0, USUAL / (height * width))))):
            count = 4 if rng.random() < MOSAIC_SHARE else 1
            chosen = [self._video(rng) for _ in range(count)]
            for _ in range(2):
                frames = [video[0] if len(video) == 1 else video[rng.integers(len(video))] for video in chosen]
                views.append(compose(frames, height, width, len(CLASSES), rng))
        return plan(views) if self.plans else drawn(views), truth(views)

    def _video(self, rng: np.random.Generator) -> list[Picture]:
        videos = self.videos[rng.choice(len(self.videos), p=self.shares)]
        return videos[rng.integers(len(videos))]


def drawn(views: list[View]) -> Tensor:
    """Views -> pictures [B, 3, H, W] u8."""
    return torch.from_numpy(np.stack([draw(view) for view in views])).permute(0, 3, 1, 2).contiguous()


def truth(views: list[View]) -> Targets:
    """What is where in the views, padded."""
    most, ignored = max(len(v.boxes) for v in views), max(len(v.ignore) for v in views)
    targets = Targets(
        boxes=torch.zeros(len(views), most, 4),
        labels=torch.full((len(views), most), -1),
        identities=torch.full((len(views), most), -1),
        known=torch.from_numpy(np.stack([view.known for view in views])),
        ignore=torch.zeros(len(views), ignored, 4),
        ignore_classes=torch.zeros(len(views), ignored, len(CLASSES), dtype=torch.bool),
    )
    for row, view in enumerate(views):
        if view.boxes:
            targets.boxes[row, : len(view.boxes)] = torch.from_numpy(np.stack(view.boxes)).float()
            targets.labels[row, : len(view.labels)] = torch.tensor(view.labels)
            targets.identities[row, : len(view.identities)] = torch.tensor(view.identities)
        if view.ignore:
            targets.ignore[row, : len(view.ignore)] = torch.from_numpy(np.stack(view.ignore)).float()
            targets.ignore_classes[row, : len(view.ignore)] = torch.from_numpy(np.stack(view.ignore_classes))
    return targets
