"""Which location answers for which object.

Task alignment (Feng et al. 2021, "TOOD", equation 1): a location fits an object by `score^ALPHA * IoU^BETA`, so that
the best scored and the best placed prediction become the same one. Every object takes its `top` best locations; a
location that several objects want goes to the one it overlaps most.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .boxes import intersection_over_union

ALPHA, BETA = 0.5, 6.0
EPSILON = 1e-9
# Below this side in pixels an object may be answered by locations around it: it may hold no centre of its own.
SMALLEST_SIDE = 16.0


@dataclass
class Assignment:
    """For each of N locations of B pictures: `is_positive` [B, N], the object's number `which` [B, N] and the score
    that is wanted there `quality` [B, N] in 0..1 (0 at negatives)."""

    is_positive: Tensor
    which: Tensor
    quality: Tensor


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, centres: Tensor, truth: Tensor, labels: Tensor, is_real: Tensor, top: int) -> Assignment:
    """Assigns objects to locations.

    scores [B, N, C] in 0..1, boxes [B, N, 4], centres [N, 2], truth [B, M, 4] in pixels, labels [B, M],
    is_real [B, M] (false where the row only pads).
    """
    batch, objects = labels.shape
    if objects == 0:
        zeros = torch.zeros(scores.shape[:2], device=scores.device)
        return Assignment(zeros.bool(), zeros.long(), zeros)
    can = reaches(truth, centres) & is_real[..., None]
    overlap = intersection_over_union(truth[:, :, None], boxes[:, None]).clamp(min=0) * can
    per_object = torch.gather(scores.transpose(1, 2), 1, labels[..., None].expand(-1, -1, scores.shape[1]))
    fit = per_object.clamp(min=EPSILON) ** ALPHA * overlap**BETA * can
    best, at = fit.topk(min(top, fit.shape[-1]), dim=-1)
    wanted = torch.zeros_like(can).scatter_(-1, at, best > EPSILON**2)
    wanted &= can
    # Several objects want a location: the one that overlaps most has it.
    contested = wanted.sum(1, keepdim=True) > 1
    strongest = torch.zeros_like(can).scatter_(1, (overlap * wanted).argmax(1, keepdim=True), True)
    wanted &= strongest | ~contested
    is_positive, which = wanted.any(1), wanted.to(torch.uint8).argmax(1)
    fit = fit * wanted
    most_fit, most_overlap = fit.amax(-1, keepdim=True), (overlap * wanted).amax(-1, keepdim=True)
    quality = (fit / (most_fit + EPSILON**2) * most_overlap).amax(1)
    return Assignment(is_positive, which, quality)


def reaches(truth: Tensor, centres: Tensor) -> Tensor:
    """Which centres [N, 2] lie in which boxes [B, M, 4] -> [B, M, N]; small boxes count as `SMALLEST_SIDE` wide."""
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    half = ((truth[..., 2:] - truth[..., :2]) / 2).clamp(min=SMALLEST_SIDE / 2)
    return ((centres - middle[:, :, None]).abs() < half[:, :, None]).all(-1)
