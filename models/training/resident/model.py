"""The network: a backbone of identity-mapping residual blocks, a top-down and bottom-up neck, and two heads.

Source of the block: He, Zhang, Ren, Sun 2016, "Identity Mappings in Deep Residual Networks", figure 4(e), full
pre-activation. The stream `x` passes a block untouched; only `F(x)` is added to it.

Of the heads, `many` is trained with several locations per object and `one` with one location per object, so that its
boxes need no suppression (Wang et al. 2024, "YOLOv10", dual assignment). Their scores come from one tower.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .classes import CLASSES

STRIDES = (8, 16, 32)
# A side of a box is 0 to BINS - 1 strides away from the location that answers.
BINS = 16
PRIOR_SCORE = 0.01


@dataclass(frozen=True)
class Size:
    """How large a network is. `stages` are (channels, hidden channels, blocks) at strides 4, 8, 16, 32."""

    stem: int
    stages: tuple[tuple[int, int, int], ...]
    neck: int
    neck_hidden: int
    embedding: int = 64
    identity: bool = True


SIZES = {
    "n": Size(stem=16, stages=((16, 16, 1), (32, 32, 2), (64, 64, 4), (128, 128, 2)), neck=48, neck_hidden=24),
    "s": Size(stem=32, stages=((48, 32, 2), (96, 64, 4), (192, 128, 6), (320, 160, 3)), neck=128, neck_hidden=64),
    "tiny": Size(stem=8, stages=((8, 8, 1), (16, 8, 1), (16, 8, 1), (16, 8, 1)), neck=16, neck_hidden=8, embedding=16),
}


class PreActivation(nn.Module):
    """Batch normalisation, then ReLU. The scale is kept positive, so that it can be moved into the next convolution."""

    FLOOR = 1e-3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = 1e-3

    def scale(self) -> Tensor:
        """The scale of each channel, [C] > 0."""
        return self.weight.abs() + self.FLOOR

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        normed = F.batch_norm(
            x, self.running_mean, self.running_var, self.scale(), self.bias, self.training, momentum=0.03, eps=self.eps
        )
        return F.relu(normed)


class IdentityBlock(nn.Module):
    """`x + F(x)`, F = (norm, ReLU, 3x3, norm, ReLU, 3x3). Without `identity` it is `F(x)`, for comparison only."""

    def __init__(self, channels: int, hidden: int, identity: bool = True) -> None:
        super().__init__()
        self.before_reduce, self.before_expand = PreActivation(channels), PreActivation(hidden)
        self.reduce = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.expand = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)
        self.identity = identity

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        residual = self.expand(self.before_expand(self.reduce(self.before_reduce(x))))
        return x + residual if self.identity else residual


class Transition(nn.Module):
    """To half the resolution and other channels: norm, ReLU, 3x3 of stride 2. The stream begins anew here."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.before = PreActivation(channels)
        self.conv = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, out, H/2, W/2]."""
        return self.conv(self.before(x))


class Backbone(nn.Module):
    """Picture -> feature maps at strides 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, size.stem, 3, stride=2, padding=1, bias=False)
        stages, channels = [], size.stem
        for out, hidden, blocks in size.stages:
            chain = [IdentityBlock(out, hidden, size.identity) for _ in range(blocks)]
            stages.append(nn.Sequential(Transition(channels, out), *chain))
            channels = out
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B, 3, H, W] in 0..1 -> three maps."""
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]


class Neck(nn.Module):
    """Adds what the deep maps know to the fine ones and back; all maps leave with the same channels."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        channels, hidden = size.neck, size.neck_hidden
        self.enter = nn.ModuleList(nn.Sequential(PreActivation(c), nn.Conv2d(c, channels, 1, bias=False)) for c, _, _ in size.stages[1:])
        self.down = nn.ModuleList(IdentityBlock(channels, hidden) for _ in range(2))
        self.shrink = nn.ModuleList(Transition(channels, channels) for _ in range(2))
        self.up = nn.ModuleList(IdentityBlock(channels, hidden) for _ in range(2))
        self.leave = nn.ModuleList(PreActivation(channels) for _ in STRIDES)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps -> three maps of `neck` channels."""
        fine, middle, coarse = (enter(x) for enter, x in zip(self.enter, maps))
        middle = self.down[0](middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        fine = self.down[1](fine + F.interpolate(middle, scale_factor=2.0, mode="nearest"))
        middle = self.up[0](middle + self.shrink[0](fine))
        coarse = self.up[1](coarse + self.shrink[1](middle))
        return [leave(x) for leave, x in zip(self.leave, (fine, middle, coarse))]


class Separable(nn.Sequential):
    """Depthwise 3x3, pointwise, norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            PreActivation(channels),
        )


class Head(nn.Module):
    """Class logits and box sides at every location; the weights are shared between the maps.

    How far away a side is, is told as a distribution over whole strides, whose mean is the distance (Li et al. 2020,
    "Generalized Focal Loss", equation 6).
    """

    def __init__(self, channels: int, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.box_tower = nn.Sequential(Separable(channels), Separable(channels))
        self.score = nn.Conv2d(channels, classes, 1)
        self.box = nn.Conv2d(channels, 4 * BINS, 1)
        # Rare positives: every score begins low (Lin et al. 2017, "Focal Loss", 4.1).
        nn.init.constant_(self.score.bias, torch.tensor(PRIOR_SCORE / (1 - PRIOR_SCORE)).log().item())
        # Most sides are one to three strides away.
        self.box.bias.data = -0.5 * (torch.arange(BINS) - 1.5).abs().repeat(4)

    def forward(self, towers: list[Tensor], maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The score tower's three maps and the neck's -> class logits [B, N, C], logits of the distances to left, top,
        right, bottom [B, N, 4 * BINS]."""
        logits = [listed(self.score(x)) for x in towers]
        sides = [listed(self.box(self.box_tower(x))) for x in maps]
        return torch.cat(logits, 1).float(), torch.cat(sides, 1).float()


class Embedder(nn.Module):
    """An appearance vector at every location, for recognising an object again."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.tower = Separable(channels)
        self.out = nn.Conv2d(channels, width, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps -> [B, N, D], not yet of unit length."""
        return torch.cat([listed(self.out(self.tower(x))) for x in maps], 1).float()


@dataclass
class Raw:
    """What the network says of each of N locations. Boxes in pixels of the input picture; `sides` are the logits that
    they come from, [B, N, 4 * BINS]."""

    one_logits: Tensor
    one_sides: Tensor
    one_boxes: Tensor
    many_logits: Tensor
    many_sides: Tensor
    many_boxes: Tensor
    embeddings: Tensor


class ResIdent(nn.Module):
    """The whole network. Input sides are multiples of 32."""

    # Scale and shift of the log odds of exported scores, set by calibrate.py.
    calibration = (1.0, 0.0)

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.backbone, self.neck = Backbone(size), Neck(size)
        self.score_tower = nn.Sequential(Separable(size.neck), Separable(size.neck))
        self.one, self.many = Head(size.neck), Head(size.neck)
        self.embedder = Embedder(size.neck, size.embedding)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out" if module.groups == 1 else "fan_in", nonlinearity="relu")

    def forward(self, images: Tensor) -> Raw:
        """[B, 3, H, W] in 0..1, RGB."""
        maps = self.neck(self.backbone(images))
        centres, strides = locations(images.shape[-2], images.shape[-1], images.device)
        towers = [self.score_tower(x) for x in maps]
        many_logits, many_sides = self.many(towers, maps)
        one_logits, one_sides = self.one(towers, maps)
        return Raw(
            one_logits,
            one_sides,
            boxes_from(distances(one_sides), centres, strides),
            many_logits,
            many_sides,
            boxes_from(distances(many_sides), centres, strides),
            self.embedder(maps),
        )


def listed(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H * W, C]. In this order of operations a runtime with blocked channels writes the list at once."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def locations(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres [N, 2] in pixels and strides [N, 1] of all locations, fine map first, row by row."""
    centres, strides = [], []
    for stride in STRIDES:
        xs = (torch.arange(width // stride, device=device) + 0.5) * stride
        ys = (torch.arange(height // stride, device=device) + 0.5) * stride
        rows, columns = height // stride, width // stride
        grid = torch.stack((xs[None].expand(rows, columns), ys[:, None].expand(rows, columns)), -1).reshape(-1, 2)
        centres.append(grid)
        strides.append(torch.full_like(grid[:, :1], float(stride)))
    return torch.cat(centres), torch.cat(strides)


def distances(sides: Tensor) -> Tensor:
    """Logits [B, N, 4 * BINS] -> mean distances in strides [B, N, 4]."""
    shares = sides.reshape(*sides.shape[:-1], 4, BINS).softmax(-1)
    return (shares * torch.arange(BINS, dtype=shares.dtype, device=shares.device)).sum(-1)


def boxes_from(distance: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Distances in strides [B, N, 4] -> boxes in pixels [B, N, 4]."""
    reach = distance * strides
    return torch.cat((centres - reach[..., :2], centres + reach[..., 2:]), -1)
