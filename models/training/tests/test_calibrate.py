"""Scores that say how often they are right."""

import random
import unittest

import numpy as np

from resident.calibrate import fitted, outcomes
from resident.classes import INDEX

CAR, PERSON = INDEX["car"], INDEX["person"]


class Calibrating(unittest.TestCase):
    def test_the_line_that_made_the_outcomes_is_found(self) -> None:
        chance = random.Random(4)
        rows = []
        for _ in range(20_000):
            logit = chance.uniform(-4, 2)
            right = chance.random() < 1 / (1 + np.exp(-(1.5 * logit + 1)))
            rows.append((1 / (1 + np.exp(-logit)), right))
        slope, offset = fitted(rows)
        self.assertAlmostEqual(slope, 1.5, delta=0.1)
        self.assertAlmostEqual(offset, 1.0, delta=0.1)

    def test_an_object_is_found_once_and_unlabelled_classes_do_not_count(self) -> None:
        box = np.array([0.0, 0, 10, 10])
        found = [(0, 0, 10, 10, CAR, 0.6), (0, 0, 10, 11, CAR, 0.9), (0, 0, 10, 10, PERSON, 0.8)]
        self.assertEqual(outcomes(found, [(CAR, box)], {CAR}), [(0.9, True), (0.6, False)])


if __name__ == "__main__":
    unittest.main()
