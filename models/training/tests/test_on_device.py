"""Views drawn from a store are the views that NumPy and OpenCV draw. On the CPU here; the code is the GPU's."""

import unittest

import numpy as np
import torch

from resident.augment import Light, View, compose, draw
from resident.on_device import Store, plan
from resident.pictures import Picture


def smooth_picture(seed: int, rows: int, columns: int) -> Picture:
    """Colours that change slowly, so that half a pixel does not matter, but a whole picture's width does."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.uniform(0, 255, (1, 3, 4, 5)))
    rgb = torch.nn.functional.interpolate(small, (rows, columns), mode="bicubic", align_corners=True).clamp(0, 255)
    nothing = np.zeros(0, np.int64)
    return Picture("p", rgb[0].permute(1, 2, 0).numpy().astype(np.uint8), np.zeros((0, 4)), nothing, nothing, np.ones(8, bool))


class Drawing(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.pictures = [smooth_picture(seed, rows, columns) for seed, (rows, columns) in enumerate([(90, 160), (120, 88), (61, 77)])]
        self.store = Store(self.pictures, torch.device("cpu"))

    def views(self, count: int) -> list[View]:
        rng = np.random.default_rng(4)
        chosen = lambda many: [self.pictures[i] for i in rng.integers(0, 3, many)]
        return [compose(chosen(4 if i % 2 else 1), 96, 128, 8, rng) for i in range(count)]

    def drawn(self, views: list[View]) -> np.ndarray:
        return self.store.draw(plan(views)).permute(0, 2, 3, 1).numpy() * 255

    def test_the_geometry_and_colour_of_both_are_the_same(self) -> None:
        views = self.views(24)
        for view in views:
            view.light = Light(view.light.matrix, gamma=view.light.gamma)
        for view, mine in zip(views, self.drawn(views)):
            differs = np.abs(mine - draw(view)).max(-1)
            self.assertLess(np.median(differs), 1.5)
            self.assertLess(np.quantile(differs, 0.97), 6.0, "all but the rims of tiles")

    def test_blur_noise_and_compression_are_as_strong(self) -> None:
        rng = np.random.default_rng(9)
        grains = self.pictures[0]
        grains.rgb = rng.integers(0, 255, grains.rgb.shape, dtype=np.uint8)
        store = Store([grains], torch.device("cpu"))
        for name, value in (("blur", 1.1), ("noise", 12.0), ("quality", 30)):
            view = View(96, 160, 8)
            view.paste(grains, (0, 0, 160, 96), np.random.default_rng(2), (1.0, 1.0001))
            view.placements[0].smooth = False
            plain = draw(view).astype(float)
            setattr(view.light, name, value)
            theirs = draw(view) - plain
            mine = store.draw(plan([view]))[0].permute(1, 2, 0).numpy() * 255 - plain
            # Brightness: colour is compressed by the file format alone.
            ours, wanted = (np.std(x.mean(-1)) for x in (mine, theirs))
            self.assertLess(abs(ours / wanted - 1), 0.25, name)


if __name__ == "__main__":
    unittest.main()
