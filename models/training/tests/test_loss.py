"""Assignment and losses on cases that can be worked out by hand."""

import unittest

import numpy as np
import torch

from resident.assign import assign, centrality
from resident.boxes import complete_iou, intersection_over_union
from resident.loss import Targets, class_weights, identity, losses, side_loss
from resident.model import BINS, SIZES, ResIdent, distances, locations


def targets(boxes: list[list[float]], labels: list[int], classes: int = 8) -> Targets:
    return Targets(
        boxes=torch.tensor(boxes)[None],
        labels=torch.tensor(labels)[None],
        identities=torch.arange(len(labels))[None],
        known=torch.ones(1, classes, dtype=torch.bool),
        ignore=torch.zeros(1, 0, 4),
        ignore_classes=torch.zeros(1, 0, classes, dtype=torch.bool),
    )


class Boxes(unittest.TestCase):
    def test_overlap(self) -> None:
        a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2])
        self.assertAlmostEqual(intersection_over_union(a, b).item(), 1 / 3, places=5)

    def test_complete_iou_by_hand(self) -> None:
        # Same shape: IoU 1/3 less the squared centre distance 1 over the squared diagonal 9 + 4.
        a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2])
        self.assertAlmostEqual(complete_iou(a, b).item(), 1 / 3 - 1 / 13, places=5)


class Sides(unittest.TestCase):
    def test_a_distance_is_the_mean_of_its_distribution(self) -> None:
        sides = torch.full((1, 4, BINS), -50.0)
        sides[0, 0, 3] = sides[0, 1, 7] = sides[0, 2, [4, 5]] = sides[0, 3, [0, 2]] = 50.0
        self.assertEqual(distances(sides.flatten(1))[0].tolist(), [3.0, 7.0, 4.5, 1.0])

    def test_the_loss_is_least_for_the_two_strides_around(self) -> None:
        away = torch.tensor([[3.25, 0.0, 14.9, 99.0]])
        wanted = torch.full((1, 4, BINS), 1e-9)
        for side, (low, share) in enumerate(((3, 0.25), (0, 0.0), (14, 0.9), (14, 0.999))):
            wanted[0, side, low], wanted[0, side, low + 1] = max(1 - share, 1e-9), max(share, 1e-9)
        best = side_loss(wanted.log().flatten(1), away).item()
        entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)) / 4
        self.assertAlmostEqual(best, entropy, places=2)
        self.assertGreater(side_loss(wanted.log().roll(1, -1).flatten(1), away).item(), best + 1)


class Assigning(unittest.TestCase):
    def setUp(self) -> None:
        self.places = locations(64, 64, torch.device("cpu"))
        self.centres = self.places[0]
        self.count = len(self.centres)

    def run_assign(self, boxes: torch.Tensor, truth: list[list[float]], top: int, scores: torch.Tensor | None = None):
        labels = torch.zeros(1, len(truth), dtype=torch.long)
        scores = torch.full((1, self.count, 8), 0.5) if scores is None else scores
        return assign(scores, boxes[None], self.places, torch.tensor(truth)[None], labels, torch.ones_like(labels).bool(), top)

    def test_one_to_one_takes_the_best_placed_of_equally_central_locations(self) -> None:
        # The middle, (24, 24), is a corner of four cells.
        truth = [[8.0, 8, 40, 40]]
        boxes = torch.tensor(truth).repeat(self.count, 1)
        boxes += (torch.arange(self.count) != 18)[:, None] * 2.0
        got = self.run_assign(boxes, truth, 1)
        self.assertEqual(got.is_positive[0].nonzero().flatten().tolist(), [18])
        self.assertAlmostEqual(got.quality[0, 18].item(), 1.0, places=4)

    def test_one_to_one_keeps_to_the_middle_though_another_scores_better(self) -> None:
        truth = [[4.0, 4, 36, 36]]
        middle = (self.centres == 20).all(1).nonzero().flatten()[0].item()
        scores = torch.full((1, self.count, 8), 0.2)
        scores[0, middle + 1, 0] = 0.9
        got = self.run_assign(torch.tensor(truth).repeat(self.count, 1), truth, 1, scores)
        self.assertEqual(got.is_positive[0].nonzero().flatten().tolist(), [middle])

    def test_one_to_one_takes_the_stride_that_suits_the_size(self) -> None:
        for side, stride in ((6.0, 8), (24.0, 8), (50.0, 8), (80.0, 16), (200.0, 32), (500.0, 32)):
            truth = torch.tensor([[32 - side / 2, 32 - side / 2, 32 + side / 2, 32 + side / 2]])
            prior = centrality(truth.expand(self.count, 4), self.centres, self.places[1][:, 0])
            at = torch.where((self.centres - 32).abs().amax(1) < self.places[1][:, 0], prior, -1.0).argmax()
            self.assertEqual(self.places[1][at].item(), stride, side)

    def test_one_to_many_takes_the_best_scores_between_equal_boxes(self) -> None:
        truth = [[8.0, 8, 40, 40]]
        scores = torch.full((1, self.count, 8), 0.2)
        scores[0, [10, 27], 0] = 0.9
        got = self.run_assign(torch.tensor(truth).repeat(self.count, 1), truth, 2, scores)
        self.assertEqual(got.is_positive[0].nonzero().flatten().tolist(), [10, 27])

    def test_a_contested_location_goes_to_the_object_it_overlaps_most(self) -> None:
        truth = [[0.0, 0, 32, 32], [0.0, 0, 30, 30]]
        got = self.run_assign(torch.tensor([truth[1]]).repeat(self.count, 1), truth, 1)
        at = got.is_positive[0].nonzero().flatten()
        self.assertTrue((got.which[0, at] == 1).all())

    def test_a_box_smaller_than_a_cell_still_finds_locations(self) -> None:
        truth = [[9.0, 9, 12, 12]]
        got = self.run_assign(torch.tensor(truth).repeat(self.count, 1), truth, 1)
        self.assertEqual(got.is_positive.sum().item(), 1)

    def test_without_objects_nothing_is_positive(self) -> None:
        labels = torch.zeros(1, 0, dtype=torch.long)
        boxes = torch.zeros(1, self.count, 4)
        got = assign(torch.zeros(1, self.count, 8), boxes, self.places, torch.zeros(1, 0, 4), labels, labels.bool(), 1)
        self.assertFalse(got.is_positive.any())


class Masks(unittest.TestCase):
    def test_unlabelled_classes_and_ignored_places_teach_nothing(self) -> None:
        centres, _ = locations(64, 64, torch.device("cpu"))
        truth = targets([[0.0, 0, 16, 16]], [0])
        truth.known[0, 3] = False
        truth.ignore = torch.tensor([[[32.0, 32, 64, 64]]])
        truth.ignore_classes = torch.zeros(1, 1, 8, dtype=torch.bool)
        truth.ignore_classes[0, 0, 5] = True
        weights = class_weights(truth, centres)
        self.assertEqual(weights[0, :, 3].sum().item(), 0)
        inside = ((centres > 32) & (centres < 64)).all(-1)
        self.assertEqual(weights[0, inside, 5].sum().item(), 0)
        self.assertTrue((weights[0, ~inside, 5] == 1).all())
        self.assertTrue((weights[0, :, 0] == 1).all())

    def test_an_unknown_class_has_no_gradient_where_it_is_not_labelled(self) -> None:
        torch.manual_seed(1)
        net = ResIdent(SIZES["tiny"])
        truth = targets([[8.0, 8, 40, 40]], [0])
        truth.known[0, 6] = False
        raw = net(torch.rand(1, 3, 64, 64))
        raw.one_logits.retain_grad()
        losses(raw, truth, 64, 64).total.backward()
        self.assertEqual(raw.one_logits.grad[..., 6].abs().max().item(), 0.0)
        self.assertGreater(raw.one_logits.grad[..., 5].abs().max().item(), 0.0)


class Identities(unittest.TestCase):
    def test_alike_vectors_of_one_identity_cost_less_than_those_of_two(self) -> None:
        truth = Targets(
            boxes=torch.tensor([[[0.0, 0, 32, 32], [32.0, 32, 64, 64]]] * 2),
            labels=torch.zeros(2, 2, dtype=torch.long),
            identities=torch.tensor([[5, 9], [5, 9]]),
            known=torch.ones(2, 8, dtype=torch.bool),
            ignore=torch.zeros(2, 0, 4),
            ignore_classes=torch.zeros(2, 0, 8, dtype=torch.bool),
        )
        centres, _ = locations(64, 64, torch.device("cpu"))
        boxes = torch.where((centres < 32).all(-1)[:, None], truth.boxes[0, 0], truth.boxes[0, 1]).repeat(2, 1, 1)
        scores = torch.full((2, len(centres), 8), 0.5)
        matched = assign(scores, boxes, locations(64, 64, torch.device("cpu")), truth.boxes, truth.labels, truth.labels >= 0, 1)
        cost = {}
        for name, turned in (("right", False), ("wrong", True)):
            vectors = torch.zeros(2, len(centres), 2)
            for picture in range(2):
                for at in matched.is_positive[picture].nonzero().flatten():
                    side = int(matched.which[picture, at]) ^ (turned and picture == 1)
                    vectors[picture, at, side] = 1.0
            cost[name] = identity(vectors, truth, matched).item()
        self.assertLess(cost["right"], 0.01)
        self.assertGreater(cost["wrong"], 5.0)


if __name__ == "__main__":
    unittest.main()
