"""Boxes as [..., 4] tensors or arrays: left, top, right, bottom in pixels."""

import torch
from torch import Tensor

EPSILON = 1e-7


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes of shapes that broadcast, [..., 4] -> [...]."""
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    shared = overlap[..., 0] * overlap[..., 1]
    return shared / (area(a) + area(b) - shared + EPSILON)


def area(boxes: Tensor) -> Tensor:
    """Area in square pixels, [..., 4] -> [...]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """CIoU (Zheng et al. 2020, "Distance-IoU Loss"), [..., 4] x [..., 4] -> [...]."""
    iou = intersection_over_union(a, b)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    diagonal = (hull**2).sum(-1) + EPSILON
    centres = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    distance = (centres**2).sum(-1)
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    angle = torch.atan(size_a[..., 0] / (size_a[..., 1] + EPSILON)) - torch.atan(size_b[..., 0] / (size_b[..., 1] + EPSILON))
    shape = 4 / torch.pi**2 * angle**2
    with torch.no_grad():
        weight = shape / (1 - iou + shape + EPSILON)
    return iou - distance / diagonal - weight * shape
