#!/usr/bin/env python3
"""Detections of known models by the plain documented way of each family: onnxruntime, numpy, OpenCV's resize.

    pip install onnxruntime numpy opencv-python-headless
    python tests/reference/reference.py MODELS_DIR IMAGES_DIR OUT_DIR
    python tests/reference/reference.py --tensors MODELS_DIR OUT_DIR

Written from the families' own documentation and demo scripts, independently of the Rust code. Each picture is turned
into limited-range BT.601 I420 planes first (OUT_DIR/<image>.yuv), because that is what a decoder gives. Detections
are computed four times, to tell decoding of heads from the way to the tensor:

    planes   planes resized, then turned into colours, not rounded (as one fused pass does)
    i420     turned into colours with interpolated chroma, then resized
    cv2      turned into colours by OpenCV (each chroma value repeated), then resized
    rgb      the picture itself, never subsampled

OUT_DIR/detections.json is a list of
{model, image, source, width, height, boxes: [[left, top, right, bottom, class, confidence], ...], spread: [[lowest, highest
confidence of that box when noise of NOISE grey levels is added to the "planes" input], ...]}.
OUT_DIR/<model>.<image>.reference.f32 is the tensor of "planes", OUT_DIR/tensors.json lists these files.

With --tensors, detections are computed from tensors made elsewhere, OUT_DIR/<model>.<image>.f32, into
OUT_DIR/detections-of-tensors.json: the same pixels to the last bit, so only what follows the tensor can differ.
"""
import json
import pathlib
import sys

import cv2
import numpy as np
import onnxruntime as ort

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FLOOR = 0.25
# Grey levels by which another correct tensor may differ (the order of single-precision operations gives 0.0001), and
# runs with noise of that size: what a score is worth at all.
NOISE = 0.001
JITTERS = 16


def i420_planes(rgb):
    """BT.601 limited range; chroma is the mean of its four pixels."""
    r, g, b = (rgb[..., i].astype(np.float64) for i in range(3))
    y = 16 + 65.481 / 255 * r + 128.553 / 255 * g + 24.966 / 255 * b
    u = 128 - 37.797 / 255 * r - 74.203 / 255 * g + 112.0 / 255 * b
    v = 128 + 112.0 / 255 * r - 93.786 / 255 * g - 18.214 / 255 * b
    half = lambda c: c.reshape(c.shape[0] // 2, 2, c.shape[1] // 2, 2).mean((1, 3))
    return [np.clip(np.round(p), 0, 255).astype(np.uint8) for p in (y, half(u), half(v))]


def rgb_from_yuv(y, u, v):
    """Inverse of `i420_planes` for planes of one size; not rounded."""
    y, u, v = (y.astype(np.float64) - 16) * 255 / 219, u.astype(np.float64) - 128, v.astype(np.float64) - 128
    r = y + 1.402 * 255 / 224 * v
    g = y - 0.344136 * 255 / 224 * u - 0.714136 * 255 / 224 * v
    b = y + 1.772 * 255 / 224 * u
    return np.clip(np.stack([r, g, b], -1), 0, 255)


def resized(plane, w, h):
    return cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR)


class Colours:
    """A picture that is turned into colours first and resized then."""

    def __init__(self, rgb):
        self.rgb, self.width, self.height = rgb, rgb.shape[1], rgb.shape[0]

    def resized(self, w, h):
        return resized(self.rgb, w, h)


class Planes:
    """A picture whose planes are resized first and turned into colours then, with noise of NOISE grey levels."""

    def __init__(self, planes, noise=None):
        self.noise = noise
        self.planes, self.width, self.height = planes, planes[0].shape[1], planes[0].shape[0]

    def resized(self, w, h):
        rgb = rgb_from_yuv(*(resized(p.astype(np.float32), w, h) for p in self.planes))
        return rgb if self.noise is None else rgb + self.noise.uniform(-NOISE, NOISE, rgb.shape)


class Size:
    """A picture of which only the size is known, for tensors made elsewhere."""

    def __init__(self, width, height):
        self.width, self.height = width, height

    def resized(self, w, h):
        return np.zeros((h, w, 3))


def sources(rgb, planes):
    stacked = np.concatenate([p.reshape(-1) for p in planes]).reshape(rgb.shape[0] * 3 // 2, rgb.shape[1])
    wide = [planes[0]] + [resized(p.astype(np.float32), rgb.shape[1], rgb.shape[0]) for p in planes[1:]]
    return {
        "planes": Planes(planes),
        "i420": Colours(np.round(rgb_from_yuv(*wide)).astype(np.uint8)),
        "cv2": Colours(cv2.cvtColor(stacked, cv2.COLOR_YUV2RGB_I420)),
        "rgb": Colours(rgb),
    }


def stretch(picture, w, h):
    back = lambda b: b * np.array([picture.width / w, picture.height / h] * 2)
    return picture.resized(w, h), back


def letterbox(picture, w, h, pad, centred):
    scale = min(w / picture.width, h / picture.height)
    nw, nh = round(picture.width * scale), round(picture.height * scale)
    # Ultralytics: round(d - 0.1) above and left.
    left, top = (round((w - nw) / 2 - 0.1), round((h - nh) / 2 - 0.1)) if centred else (0, 0)
    canvas = np.full((h, w, 3), float(pad))
    canvas[top:top + nh, left:left + nw] = picture.resized(nw, nh)
    return canvas, lambda b: (b - [left, top, left, top]) / scale


def chw(x):
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None].astype(np.float32))


def nms(boxes, scores, labels, limit):
    keep = []
    for label in np.unique(labels):
        order = [i for i in np.argsort(-scores, kind="stable") if labels[i] == label]
        while order:
            first, rest = order[0], order[1:]
            keep.append(first)
            a, b = boxes[first], boxes[rest]
            inter = np.clip(np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2]), 0, None).prod(1)
            area = lambda r: (r[..., 2] - r[..., 0]) * (r[..., 3] - r[..., 1])
            iou = inter / (area(a) + area(b) - inter)
            order = [i for i, o in zip(rest, iou) if o <= limit]
    return sorted(keep, key=lambda i: -scores[i])


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0) * max(h, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def corners(b):
    return np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)


def grid(w, h, stride):
    xs, ys = np.meshgrid(np.arange(-(-w // stride)), np.arange(-(-h // stride)))
    return np.stack([xs, ys], -1).reshape(-1, 2).astype(np.float32)


def best(boxes, scores, back, limit):
    labels, top = scores.argmax(1), scores.max(1)
    keep = top >= FLOOR
    boxes, labels, top = boxes[keep], labels[keep], top[keep]
    order = nms(boxes, top, labels, limit) if limit else np.argsort(-top, kind="stable")
    return [(*back(boxes[i]), int(labels[i]), float(top[i])) for i in order]


def yolox(run, picture, w, h):
    # Megvii demo: BGR 0..255, letterbox at the top left with 114; (xy + grid) * stride, exp(wh) * stride.
    x, back = letterbox(picture, w, h, 114, False)
    out = run(chw(x[..., ::-1]))[0][0]
    cells = np.concatenate([grid(w, h, s) for s in (8, 16, 32)])
    stride = np.concatenate([np.full((len(grid(w, h, s)), 1), s) for s in (8, 16, 32)])
    boxes = corners(np.concatenate([(out[:, :2] + cells) * stride, np.exp(out[:, 2:4]) * stride], 1))
    return best(boxes, out[:, 4:5] * out[:, 5:], back, 0.45)


def ultralytics(run, picture, w, h):
    x, back = letterbox(picture, w, h, 114, True)
    out = run(chw(x / 255.0))[0][0].T
    return best(corners(out[:, :4]), out[:, 4:], back, 0.7)


def end_to_end(run, picture, w, h):
    x, back = letterbox(picture, w, h, 114, True)
    return [(*back(r[:4]), int(r[5]), float(r[4])) for r in run(chw(x / 255.0))[0][0] if r[4] >= FLOOR]


def detr_deployed(run, picture, w, h):
    x, _ = stretch(picture, w, h)
    outputs = run(chw(x / 255.0), orig_target_sizes=np.array([[picture.width, picture.height]], np.int64))
    labels, boxes, scores = (o[0] for o in outputs)
    return [(*b.astype(float), int(l), float(s)) for l, b, s in zip(labels, boxes, scores) if s >= FLOOR]


def detr_raw(run, picture, w, h):
    # Post-processor of the family: sigmoid, top 300 over (query, class), boxes times frame size.
    x, _ = stretch(picture, w, h)
    logits, boxes = (o[0] for o in run(chw(x / 255.0)))
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    order = np.argsort(-scores.reshape(-1), kind="stable")[:300]
    boxes = corners(boxes) * np.array([picture.width, picture.height] * 2)
    return [(*boxes[i // scores.shape[1]], int(i % scores.shape[1]), float(scores.reshape(-1)[i]))
            for i in order if scores.reshape(-1)[i] >= FLOOR]


def distances(out, w, h, strides, centre):
    scores, boxes = [], []
    for s, (cls, dist) in zip(strides, out):
        centres = (grid(w, h, s) + centre) * s
        bins = dist.reshape(-1, 4, 8)
        e = np.exp(bins - bins.max(-1, keepdims=True))
        d = (e / e.sum(-1, keepdims=True) * np.arange(8)).sum(-1) * s
        boxes.append(np.concatenate([centres - d[:, :2], centres + d[:, 2:]], 1))
        scores.append(cls)
    return np.concatenate(boxes), np.concatenate(scores)


def nanodet(run, picture, w, h):
    # BGR, aspect ratio kept, centred, black border.
    x, back = letterbox(picture, w, h, 0, True)
    x = (x[..., ::-1] - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])
    out = [o[0] for o in run(chw(x))]
    boxes, scores = distances(list(zip(out[:3], out[3:])), w, h, (8, 16, 32), 0.5)
    return best(boxes, scores, back, 0.6)


def picodet(run, picture, w, h):
    x, back = stretch(picture, w, h)
    out = [o[0] for o in run(chw((x / 255.0 - IMAGENET_MEAN) / IMAGENET_STD))]
    boxes, scores = distances(list(zip(out[:4], out[4:])), w, h, (8, 16, 32, 64), 0.5)
    return best(boxes, scores, back, 0.6)


def fastest_det(run, picture, w, h):
    x, back = stretch(picture, w, h)
    out = run(chw(x[..., ::-1] / 255.0))[0][0]
    rows, cols = out.shape[1:]
    values = out.reshape(out.shape[0], -1).T
    centre = (grid(cols, rows, 1) + np.tanh(values[:, 1:3])) / [cols, rows] * [w, h]
    size = 1 / (1 + np.exp(-values[:, 3:5])) * [w, h]
    scores = values[:, :1] ** 0.6 * values[:, 5:] ** 0.4
    return best(corners(np.concatenate([centre, size], 1)), scores, back, 0.45)


def fastest_v2(run, picture, w, h):
    anchors = np.array([12.64, 19.39, 37.88, 51.48, 55.71, 138.31, 126.91, 78.23, 131.57, 214.55, 279.92, 258.87])
    anchors = anchors.reshape(2, 3, 2)
    x, back = stretch(picture, w, h)
    out, boxes, scores, row = run(chw(x[..., ::-1] / 255.0))[0], [], [], 0
    for level, stride in enumerate((16, 32)):
        for cell in grid(w, h, stride):
            for a in range(3):
                v = out[row, 4 * a:4 * a + 4]
                boxes.append([*((v[:2] * 2 - 0.5 + cell) * stride), *((v[2:] * 2) ** 2 * anchors[level, a])])
                scores.append(out[row, 12 + a] * out[row, 15:])
            row += 1
    return best(corners(np.array(boxes)), np.array(scores), back, 0.45)


MODELS = {
    "yolox_nano_416_kazuhito": yolox,
    "deimv2_hgnetv2_femto_coco": detr_deployed,
    "deimv2_femto_raw_logits_boxes": detr_raw,
    "nanodet_m_320_kazuhito": nanodet,
    "picodet_s_320_coco": picodet,
    "FastestDet": fastest_det,
    "yolo-fastestv2_352": fastest_v2,
    "yolov8n_int8_lamri": ultralytics,
    "yolo11n_int8_droneeye": ultralytics,
    "yolo26n_int8": end_to_end,
}


class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.image = self.session.get_inputs()[0]
        self.detect, self.fed = MODELS[path.stem], None

    def boxes(self, picture, tensor=None):
        """Boxes as lists; the tensor itself is in `fed`, `tensor` takes its place if given."""

        def run(x, **more):
            self.fed = x if tensor is None else tensor.reshape(x.shape)
            return self.session.run(None, {self.image.name: self.fed, **more})

        h, w = self.image.shape[2:]
        return [[float(v) for v in b] for b in self.detect(run, picture, w, h)]


def spread(model, picture, boxes):
    found = [[b[5], b[5]] for b in boxes]
    for seed in range(JITTERS):
        again = model.boxes(Planes(picture.planes, np.random.default_rng(seed)))
        for b, s in zip(boxes, found):
            same = [o[5] for o in again if o[4] == b[4] and iou(o, b) >= 0.8]
            if same:
                s[:] = min(s[0], same[0]), max(s[1], same[0])
    return found


def row(name, stem, source, picture, boxes, found):
    return {"model": name, "image": stem, "source": source, "width": picture.width, "height": picture.height,
            "boxes": boxes, "spread": found}


def from_pictures(models, images, out):
    out.mkdir(parents=True, exist_ok=True)
    pictures = []
    for path in sorted(images.glob("*.png")):
        rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        rgb = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
        planes = i420_planes(rgb)
        (out / f"{path.stem}.yuv").write_bytes(b"".join(p.tobytes() for p in planes))
        pictures.append((path.stem, sources(rgb, planes)))
    results, tensors = [], []
    for name in MODELS:
        path = models / f"{name}.onnx"
        if not path.exists():
            continue
        model = Model(path)
        for stem, variants in pictures:
            for source, picture in variants.items():
                boxes = model.boxes(picture)
                found = [[b[5], b[5]] for b in boxes]
                if source == "planes":
                    model.fed.tofile(out / f"{name}.{stem}.reference.f32")
                    tensors.append([name, stem, picture.width, picture.height])
                    found = spread(model, picture, boxes)
                results.append(row(name, stem, source, picture, boxes, found))
    (out / "detections.json").write_text(json.dumps(results))
    (out / "tensors.json").write_text(json.dumps(tensors))


def from_tensors(models, out):
    results, model, of = [], None, None
    for name, stem, width, height in json.loads((out / "tensors.json").read_text()):
        if of != name:
            model, of = Model(models / f"{name}.onnx"), name
        picture = Size(width, height)
        boxes = model.boxes(picture, np.fromfile(out / f"{name}.{stem}.f32", np.float32))
        results.append(row(name, stem, "tensor", picture, boxes, [[b[5], b[5]] for b in boxes]))
    (out / "detections-of-tensors.json").write_text(json.dumps(results))


if __name__ == "__main__":
    if sys.argv[1] == "--tensors":
        from_tensors(*(pathlib.Path(a) for a in sys.argv[2:4]))
    else:
        from_pictures(*(pathlib.Path(a) for a in sys.argv[1:4]))
