"""Random views of pictures: where which part of a picture goes, and the light it is seen in.

A view is a plan. `draw` carries it out in NumPy and OpenCV, `on_device.py` on a GPU. Every choice comes from the
generator that is handed in.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .pictures import Picture

GREY = 114
# A box of which less than this share is left inside the view is neither an object nor background.
LEAST_SHARE, DROP_SHARE = 0.35, 0.08
SMALLEST_SIDE = 4.0
# Red, green, blue -> brightness and two colour differences (Rec. 601).
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass
class Placement:
    """A part of a picture (x, y, width, height in its pixels) and where it goes (likewise, in pixels of the view)."""

    picture: Picture
    part: tuple[int, int, int, int]
    place: tuple[int, int, int, int]
    mirrored: bool
    # Averaged where it is made smaller; otherwise pixels are left out, as cheap cameras do.
    smooth: bool


@dataclass
class Light:
    """Light, colour, blur, noise and compression as cameras differ in them."""

    matrix: np.ndarray
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    quality: int = 0
    seed: int = 0


class View:
    """A canvas of `height` x `width` pixels: what is pasted onto it and the truth of that."""

    def __init__(self, height: int, width: int, classes: int) -> None:
        self.height, self.width = height, width
        self.placements: list[Placement] = []
        self.light = Light(np.eye(3))
        self.boxes: list[np.ndarray] = []
        self.labels: list[int] = []
        self.identities: list[int] = []
        self.ignore: list[np.ndarray] = []
        self.ignore_classes: list[np.ndarray] = []
        self.known = np.ones(classes, bool)

    def paste(self, picture: Picture, tile: tuple[int, int, int, int], rng: np.random.Generator, zoom: tuple[float, float]) -> None:
        """Pastes a random part of `picture` into a tile (left, top, right, bottom), flipped half of the time."""
        left, top, right, bottom = tile
        width, height = right - left, bottom - top
        rows, columns = picture.rgb.shape[:2]
        scale = min(width / columns, height / rows) * np.exp(rng.uniform(*np.log(zoom)))
        stretch = np.exp(rng.uniform(-0.15, 0.15))
        across, down = scale * stretch, scale / stretch
        crop_w, crop_h = min(columns, width / across), min(rows, height / down)
        x0, y0 = rng.uniform(0, columns - crop_w), rng.uniform(0, rows - crop_h)
        x0, y0, crop_w, crop_h = int(x0), int(y0), max(int(crop_w), 2), max(int(crop_h), 2)
        out_w, out_h = min(max(round(crop_w * across), 2), width), min(max(round(crop_h * down), 2), height)
        smooth = scale < 0.7 and rng.random() < 0.7
        mirrored = rng.random() < 0.5
        at_x = left + int(rng.integers(0, width - out_w + 1))
        at_y = top + int(rng.integers(0, height - out_h + 1))
        self.placements.append(Placement(picture, (x0, y0, crop_w, crop_h), (at_x, at_y, out_w, out_h), mirrored, smooth))

        def moved(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            placed = (boxes - [x0, y0, x0, y0]) * ([out_w / crop_w, out_h / crop_h] * 2)
            if mirrored:
                placed[:, [0, 2]] = out_w - placed[:, [2, 0]]
            clipped = np.clip(placed, 0, [out_w, out_h, out_w, out_h])
            whole = np.prod(placed[:, 2:] - placed[:, :2], 1)
            return clipped + [at_x, at_y, at_x, at_y], np.prod(clipped[:, 2:] - clipped[:, :2], 1) / np.maximum(whole, 1e-6)

        boxes, shares = moved(picture.boxes.astype(np.float64).reshape(-1, 4))
        for box, share, label, identity in zip(boxes, shares, picture.labels, picture.identities):
            if share < DROP_SHARE:
                continue
            if share >= LEAST_SHARE and min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_SIDE:
                self.boxes.append(box)
                self.labels.append(int(label))
                self.identities.append(int(identity))
            else:
                self.ignore.append(box)
                self.ignore_classes.append(np.arange(len(self.known)) == label)
        ignored, shares = moved(picture.ignore.astype(np.float64).reshape(-1, 4))
        for box, share, classes in zip(ignored, shares, picture.ignore_classes):
            if share > 0:
                self.ignore.append(box)
                self.ignore_classes.append(classes)
        self.known &= picture.known


def random_light(rng: np.random.Generator) -> Light:
    """Hue, saturation and brightness always differ; the rest now and then."""
    hue, saturation, value = rng.uniform([-0.13, 0.4, 0.55], [0.13, 1.6, 1.35])
    if rng.random() < 0.06:
        saturation = 0.0
    turn = saturation * np.array([[np.cos(hue), -np.sin(hue)], [np.sin(hue), np.cos(hue)]])
    in_yiq = np.eye(3)
    in_yiq[1:, 1:] = turn
    light = Light(value * np.linalg.inv(TO_YIQ) @ in_yiq @ TO_YIQ, seed=int(rng.integers(2**31)))
    if rng.random() < 0.12:
        light.gamma = float(np.exp(rng.uniform(-0.7, 0.9)))
    if rng.random() < 0.12:
        light.blur = float(rng.uniform(0.4, 1.4))
    if rng.random() < 0.12:
        light.noise = float(rng.uniform(2, 14))
    if rng.random() < 0.15:
        light.quality = int(rng.integers(25, 80))
    return light


def draw(view: View) -> np.ndarray:
    """The picture of a view, [H, W, 3] u8."""
    rgb = np.full((view.height, view.width, 3), GREY, np.uint8)
    for placement in view.placements:
        (x0, y0, crop_w, crop_h), (at_x, at_y, out_w, out_h) = placement.part, placement.place
        method = cv2.INTER_AREA if placement.smooth else cv2.INTER_LINEAR
        part = cv2.resize(placement.picture.rgb[y0 : y0 + crop_h, x0 : x0 + crop_w], (out_w, out_h), interpolation=method)
        rgb[at_y : at_y + out_h, at_x : at_x + out_w] = part[:, ::-1] if placement.mirrored else part
    light = view.light
    rgb = np.clip(cv2.transform(rgb.astype(np.float32), light.matrix.astype(np.float32)), 0, 255)
    if light.gamma != 1:
        rgb = 255 * (rgb / 255) ** light.gamma
    if light.blur:
        rgb = cv2.GaussianBlur(rgb, (0, 0), light.blur)
    if light.noise:
        rgb = rgb + np.random.default_rng(light.seed).normal(0, light.noise, rgb.shape)
    rgb = np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
    if light.quality:
        coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, light.quality])[1]
        rgb = np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
    return rgb


def compose(pictures: list[Picture], height: int, width: int, classes: int, rng: np.random.Generator) -> View:
    """One view of one picture, or of four around a random point (mosaic, Bochkovskiy et al. 2020, "YOLOv4")."""
    view = View(height, width, classes)
    if len(pictures) == 1:
        view.paste(pictures[0], (0, 0, width, height), rng, (0.7, 2.2))
    else:
        x, y = int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.35, 0.65))
        tiles = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        for picture, tile in zip(pictures, tiles):
            view.paste(picture, tile, rng, (0.8, 2.8))
    view.light = random_light(rng)
    return view
