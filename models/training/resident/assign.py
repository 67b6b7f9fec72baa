"""Which location answers for which object.

Task alignment (Feng et al. 2021, "TOOD", equation 1): a location fits an object by `score^ALPHA * IoU^BETA`, so that
the best scored and the best placed prediction become the same one. Every object takes its `top` best locations; a
location that several objects want goes to the one it overlaps most.

For the head that answers once per object the fit is also multiplied by how central a location is, at the stride that
suits the object's size. Without it the best of several equal neighbours changes from step to step, all of them learn a
middling score, and every object is found several times (a spatial prior as in Wang et al. 2021, "End-to-End Object
Detection with Fully Convolutional Network", but one that falls off within a cell).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .boxes import intersection_over_union
from .model import STRIDES

ALPHA, BETA = 0.5, 6.0
EPSILON = 1e-9
# An object belongs to the stride that goes this often into the root of its area.
SUITABLE = 5.0
# Deviation of the prior: cells from the middle, and octaves from the suitable stride.
CELLS, OCTAVES = 0.5, 0.5
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
def assign(
    scores: Tensor, boxes: Tensor, places: tuple[Tensor, Tensor], truth: Tensor, labels: Tensor, is_real: Tensor, top: int
) -> Assignment:
    """Assigns objects to locations; to the central one alone where `top` is 1.

    scores [B, N, C] in 0..1, boxes [B, N, 4], places (centres [N, 2], strides [N, 1]), truth [B, M, 4] in pixels,
    labels [B, M], is_real [B, M] (false where the row only pads).
    """
    centres, strides = places
    shape = scores.shape[:2]
    result = Assignment(torch.zeros(shape, dtype=torch.bool, device=scores.device),
                        torch.zeros(shape, dtype=torch.long, device=scores.device),
                        torch.zeros(shape, device=scores.device))
    # All T real objects of the batch in one list, and the pairs of an object and a location that it reaches.
    picture, number = is_real.nonzero(as_tuple=True)
    truth, labels = truth[picture, number], labels[picture, number]
    can = reaches(truth, centres)
    of, at = can.nonzero(as_tuple=True)
    if len(of) == 0:
        return result
    overlap = intersection_over_union(truth[of], boxes[picture[of], at]).clamp(min=0)
    fit = scores[picture[of], at, labels[of]].clamp(min=EPSILON) ** ALPHA * overlap**BETA
    if top == 1:
        fit = fit * centrality(truth[of], centres[at], strides[at, 0])

    dense = torch.zeros(can.shape, device=scores.device)
    dense[of, at] = fit
    best, best_at = dense.topk(min(top, dense.shape[1]), dim=1)
    wanted = torch.zeros_like(can).scatter_(1, best_at, best > 0)
    chosen = wanted[of, at]
    of, at, overlap, fit = of[chosen], at[chosen], overlap[chosen], fit[chosen]
    if len(of) == 0:
        return result

    # Several objects want a location: sorted by location and then by overlap, the first one has it.
    place = picture[of] * shape[1] + at
    order = torch.sort(overlap, descending=True, stable=True).indices
    order = order[torch.sort(place[order], stable=True).indices]
    is_first = torch.ones(len(order), dtype=torch.bool, device=scores.device)
    is_first[1:] = place[order][1:] != place[order][:-1]
    order = order[is_first]
    of, at, overlap, fit = of[order], at[order], overlap[order], fit[order]

    most_fit = torch.zeros(len(truth), device=scores.device).scatter_reduce_(0, of, fit, "amax")
    most_overlap = torch.zeros(len(truth), device=scores.device).scatter_reduce_(0, of, overlap, "amax")
    result.is_positive[picture[of], at] = True
    result.which[picture[of], at] = number[of]
    result.quality[picture[of], at] = fit / most_fit[of] * most_overlap[of]
    return result


def centrality(truth: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Prior in 0..1 of each of P pairs of an object [P, 4] and a location (centre [P, 2], stride [P]) -> [P]."""
    sides = (truth[:, 2:] - truth[:, :2]).clamp(min=1.0)
    away = ((truth[:, :2] + truth[:, 2:]) / 2 - centres) / strides[:, None] / CELLS
    octaves = torch.log2(sides.prod(1).sqrt() / strides / SUITABLE)
    # Nothing is finer than the finest stride and nothing coarser than the coarsest.
    octaves = torch.where(strides == STRIDES[0], octaves.clamp(min=0), octaves)
    octaves = torch.where(strides == STRIDES[-1], octaves.clamp(max=0), octaves) / OCTAVES
    return torch.exp(-(away.square().sum(1) + octaves.square()) / 2)


def reaches(truth: Tensor, centres: Tensor) -> Tensor:
    """Which centres [N, 2] lie in which boxes [T, 4] -> [T, N]; small boxes count as `SMALLEST_SIDE` wide."""
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    half = ((truth[:, 2:] - truth[:, :2]) / 2).clamp(min=SMALLEST_SIDE / 2)
    low, high = middle - half, middle + half
    across = (centres[:, 0] > low[:, :1]) & (centres[:, 0] < high[:, :1])
    return across & (centres[:, 1] > low[:, 1:]) & (centres[:, 1] < high[:, 1:])
