"""What the training lowers: class scores, boxes and identities.

Pictures come from sets that label only some classes. `known` says which classes of a picture are labelled completely;
for the others nothing is learned from places without a label. `ignore` marks boxes about which nothing is said.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .assign import Assignment, assign
from .boxes import complete_iou
from .model import BINS, Raw, locations

SCORE_WEIGHT, BOX_WEIGHT, SIDE_WEIGHT, IDENTITY_WEIGHT = 1.0, 4.0, 0.8, 0.25
MANY_TOP, ONE_TOP = 10, 1
FOCUS = 1.5
TEMPERATURE = 0.1
# Each is compared with each.
MOST_VECTORS = 4096


@dataclass
class Targets:
    """Truth of B pictures: boxes [B, M, 4] in pixels, labels [B, M] (-1 pads), identities [B, M] (-1 unknown),
    known [B, C] bool, ignore [B, K, 4] (zero area pads) and ignore_classes [B, K, C] bool."""

    boxes: Tensor
    labels: Tensor
    identities: Tensor
    known: Tensor
    ignore: Tensor
    ignore_classes: Tensor


@dataclass
class Losses:
    """The parts, each a scalar; `total` is what is differentiated."""

    score: Tensor
    box: Tensor
    side: Tensor
    identity: Tensor

    @property
    def total(self) -> Tensor:
        """Weighted sum."""
        return (SCORE_WEIGHT * self.score + BOX_WEIGHT * self.box + SIDE_WEIGHT * self.side
                + IDENTITY_WEIGHT * self.identity)


def losses(raw: Raw, targets: Targets, height: int, width: int) -> Losses:
    """Losses of a batch whose pictures are `height` x `width` pixels."""
    places = locations(height, width, raw.one_logits.device)
    counts = class_weights(targets, places[0])
    many, _ = detection(raw.many_logits, raw.many_sides, raw.many_boxes, targets, places, counts, MANY_TOP)
    one, matched = detection(raw.one_logits, raw.one_sides, raw.one_boxes, targets, places, counts, ONE_TOP)
    return Losses(*(a + b for a, b in zip(many, one)), identity(raw.embeddings, targets, matched))


def detection(
    logits: Tensor, sides: Tensor, boxes: Tensor, targets: Targets, places: tuple[Tensor, Tensor], counts: Tensor, top: int
) -> tuple[tuple[Tensor, Tensor, Tensor], Assignment]:
    """Score, box and side loss of one head. `counts` [B, N, C] is 0 where nothing is said about a class at a location."""
    is_real = targets.labels >= 0
    labels = targets.labels.clamp(min=0)
    matched = assign(logits.sigmoid().detach(), boxes.detach(), places, targets.boxes, labels, is_real, top)
    wanted = torch.zeros_like(logits)
    at = matched.is_positive.nonzero(as_tuple=True)
    which = (at[0], matched.which[at])
    wanted[(*at, labels[which])] = matched.quality[at]
    weight = counts.clone()
    weight[(*at, labels[which])] = 1.0
    total = matched.quality.sum().clamp(min=1.0)
    if top > 1:
        # Varifocal weighting of negatives (Zhang et al. 2021, "VarifocalNet", equation 2). Not for the head that is
        # exported: it lifts the scores of doubtful places, 0.1 becomes 0.35, and with them those of duplicates.
        scores = logits.sigmoid().detach()
        weight = weight * torch.where(wanted > 0, torch.ones_like(wanted), scores**FOCUS * 0.75)
    score = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).sum() / total
    truth, quality = targets.boxes[which], matched.quality[at]
    box = ((1 - complete_iou(boxes[at], truth)) * quality).sum() / total
    centres, strides = places[0][at[1]], places[1][at[1]]
    away = torch.cat((centres - truth[:, :2], truth[:, 2:] - centres), -1) / strides
    side = (side_loss(sides[at], away) * quality).sum() / total
    return (score, box, side), matched


def side_loss(sides: Tensor, away: Tensor) -> Tensor:
    """Cross-entropy of the two whole strides around each true distance: logits [P, 4 * BINS], distances in strides
    [P, 4] -> [P] (Li et al. 2020, "Generalized Focal Loss", equation 6)."""
    away = away.clamp(0, BINS - 1.001)
    lower = away.floor()
    logs = sides.reshape(*sides.shape[:-1], 4, BINS).log_softmax(-1)
    at = lower.long()[..., None]
    below, above = logs.gather(-1, at)[..., 0], logs.gather(-1, at + 1)[..., 0]
    return -(below * (lower + 1 - away) + above * (away - lower)).mean(-1)


def class_weights(targets: Targets, centres: Tensor) -> Tensor:
    """1 where a location may be told that it holds no object of the class, else 0: [B, N, C]."""
    known = targets.known[:, None].float().repeat(1, len(centres), 1)
    left, top, right, bottom = targets.ignore[:, None].unbind(-1)
    x, y = centres[:, :1], centres[:, 1:]
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    return known * (inside.float() @ targets.ignore_classes.float() == 0)


def identity(embeddings: Tensor, targets: Targets, matched: Assignment) -> Tensor:
    """Contrast of identities over the batch (Khosla et al. 2020, "Supervised Contrastive Learning", equation 2)."""
    at = matched.is_positive.nonzero(as_tuple=True)
    keys = targets.identities[at[0], matched.which[at]]
    is_known = keys >= 0
    keys, picture = keys[is_known][:MOST_VECTORS], at[0][is_known][:MOST_VECTORS]
    vectors = F.normalize(embeddings[at][is_known][:MOST_VECTORS], dim=-1)
    if len(keys) < 2:
        return embeddings.sum() * 0
    likeness = vectors @ vectors.T / TEMPERATURE
    itself = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    same = (keys[:, None] == keys) & ~itself & (picture[:, None] != picture)
    log_share = likeness - torch.logsumexp(likeness.masked_fill(itself, -torch.inf), 1, keepdim=True)
    has_pair = same.any(1)
    if not has_pair.any():
        return embeddings.sum() * 0
    per_vector = -(log_share * same).sum(1)[has_pair] / same.sum(1)[has_pair]
    return per_vector.mean()
