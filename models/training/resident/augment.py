"""Random views of pictures, in NumPy and OpenCV. Every choice comes from the generator that is handed in."""

import cv2
import numpy as np

from .pictures import Picture

GREY = 114
# A box of which less than this share is left inside the view is neither an object nor background.
LEAST_SHARE, DROP_SHARE = 0.35, 0.08
SMALLEST_SIDE = 4.0


class View:
    """A canvas [H, W, 3] u8 with the truth of what was pasted onto it."""

    def __init__(self, height: int, width: int, classes: int) -> None:
        self.rgb = np.full((height, width, 3), GREY, np.uint8)
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
        method = cv2.INTER_AREA if scale < 0.7 and rng.random() < 0.7 else cv2.INTER_LINEAR
        part = cv2.resize(picture.rgb[y0 : y0 + crop_h, x0 : x0 + crop_w], (out_w, out_h), interpolation=method)
        mirrored = rng.random() < 0.5
        at_x = left + int(rng.integers(0, width - out_w + 1))
        at_y = top + int(rng.integers(0, height - out_h + 1))
        self.rgb[at_y : at_y + out_h, at_x : at_x + out_w] = part[:, ::-1] if mirrored else part

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

    def recolour(self, rng: np.random.Generator) -> None:
        """Light, colour, blur, noise and compression as cameras differ in them."""
        gain = rng.uniform([-0.02, 0.4, 0.55], [0.02, 1.6, 1.35])
        hue, saturation, value = cv2.split(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2HSV))
        steps = np.arange(256, dtype=np.float64)
        tables = [((steps + gain[0] * 180) % 180), np.clip(steps * gain[1], 0, 255), np.clip(steps * gain[2], 0, 255)]
        layers = [cv2.LUT(layer, table.astype(np.uint8)) for layer, table in zip((hue, saturation, value), tables)]
        self.rgb = cv2.cvtColor(cv2.merge(layers), cv2.COLOR_HSV2RGB)
        if rng.random() < 0.06:
            self.rgb = np.repeat(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
        if rng.random() < 0.12:
            table = 255 * (steps / 255) ** np.exp(rng.uniform(-0.7, 0.9))
            self.rgb = cv2.LUT(self.rgb, table.astype(np.uint8))
        if rng.random() < 0.12:
            self.rgb = cv2.GaussianBlur(self.rgb, (0, 0), rng.uniform(0.4, 1.4))
        if rng.random() < 0.12:
            noise = rng.normal(0, rng.uniform(2, 14), self.rgb.shape)
            self.rgb = np.clip(self.rgb + noise, 0, 255).astype(np.uint8)
        if rng.random() < 0.15:
            coded = cv2.imencode(".jpg", self.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1]
            self.rgb = np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


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
    view.recolour(rng)
    return view
