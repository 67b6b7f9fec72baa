"""Scores as probabilities, and what int8 is calibrated on."""

import importlib.util
import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np

from resident.calibrate import fitted, judged
from resident.pictures import Picture


class Calibrating(unittest.TestCase):
    def test_scores_that_say_too_little_are_put_right(self) -> None:
        rng = np.random.default_rng(5)
        truly = rng.uniform(0.02, 0.98, 20_000)
        right = rng.random(20_000) < truly
        odds = (np.log(truly / (1 - truly)) - 0.7) / 1.8
        scale, shift = fitted(1 / (1 + np.exp(-odds)), right)
        self.assertAlmostEqual(scale, 1.8, delta=0.1)
        self.assertAlmostEqual(shift, 0.7, delta=0.1)

    def test_only_what_the_labels_know_is_judged(self) -> None:
        box = np.array([[10.0, 10, 50, 50]])
        known = np.array([True, False, True, True, True, True, True, True])
        silent = np.zeros((1, 8), bool)
        silent[0, 3] = True
        picture = Picture("p", np.zeros((99, 99, 3), np.uint8), box, np.array([0]), np.array([0]), known,
                          np.array([[60.0, 60, 90, 90]]), silent)
        boxes = np.array([[10.0, 10, 50, 50], [11, 10, 50, 50], [60, 60, 90, 90], [10, 60, 50, 90], [0, 0, 9, 9]])
        scores = np.zeros((5, 8))
        # Right, the same again, a class about which that place says nothing, a class the set does not know, too weak.
        for row, (label, score) in enumerate(((0, 0.9), (0, 0.8), (3, 0.7), (1, 0.6), (0, 0.01))):
            scores[row, label] = score
        told, right = judged(boxes, scores, picture)
        self.assertEqual((told.tolist(), right.tolist()), ([0.9, 0.8], [True, False]))


class Quantising(unittest.TestCase):
    def test_held_out_pictures_have_no_part(self) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            self.skipTest("Python has no onnxruntime")
        from resident.quantize import trained
        from resident.split import is_held_out, signature

        rng = np.random.default_rng(1)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "set"
            (folder / "images").mkdir(parents=True)
            for number in range(60):
                rgb = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8)
                cv2.imwrite(str(folder / "images" / f"{number:02}.png"), rgb)
            every = sorted((folder / "images").iterdir())
            rows = np.stack([signature(cv2.imread(str(path))[..., ::-1].copy()) for path in every])
            out = {p for p, is_out in zip(every, is_held_out([f"set/{p.stem}" for p in every], rows)) if is_out}
            self.assertTrue(0 < len(out) < 30)
            self.assertEqual(trained(folder), [path for path in every if path not in out])


if __name__ == "__main__":
    unittest.main()
