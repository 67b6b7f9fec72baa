"""What people build by hand: OpenCV decodes, ONNX Runtime detects, supervision's ByteTrack follows.

    python supervision_track.py VIDEO MODEL.onnx THREADS
"""

import sys

import cv2
import numpy as np
import onnxruntime
import supervision
from clock import Clock
from trackers import ByteTrackTracker

CONFIDENCE, OVERLAP = 0.1, 0.7


def letterboxed(picture: np.ndarray, side: int, is_yolox: bool) -> tuple[np.ndarray, float]:
    """BGR picture -> [1, 3, side, side] in the network's order and range, and the scale."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)))
    canvas = np.full((side, side, 3), 114, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    if is_yolox:
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], dtype=np.float32), scale
    return cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True), scale


def yolox_rows(output: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, 85] -> boxes (centre, size) and class scores (YOLOX's own decoding)."""
    places, steps = [], []
    for stride in (8, 16, 32):
        cells = side // stride
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2)
        places.append(grid)
        steps.append(np.full((len(grid), 1), stride))
    place, step = np.concatenate(places), np.concatenate(steps)
    boxes = np.concatenate(((output[:, :2] + place) * step, np.exp(output[:, 2:4]) * step), 1)
    return boxes, output[:, 5:] * output[:, 4:5]


def detections(output: np.ndarray, side: int, scale: float, is_yolox: bool) -> supervision.Detections:
    """What the network found, in pixels of the picture."""
    boxes, scores = yolox_rows(output, side) if is_yolox else (output[:4].T, output[4:].T)
    best = scores.max(1)
    kept = best > CONFIDENCE
    boxes, best, classes = boxes[kept] / scale, best[kept], scores[kept].argmax(1)
    corners = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)
    found = supervision.Detections(xyxy=corners, confidence=best, class_id=classes)
    return found.with_nms(threshold=OVERLAP)


def main() -> None:
    """Command line."""
    video, model, threads = sys.argv[1:]
    is_yolox = "yolox" in model.lower()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    side = entry.shape[-1] if isinstance(entry.shape[-1], int) else 640
    film, tracker, clock = cv2.VideoCapture(video), ByteTrackTracker(), Clock()
    while True:
        is_there, picture = film.read()
        if not is_there:
            break
        tensor, scale = letterboxed(picture, side, is_yolox)
        output = session.run(None, {entry.name: tensor})[0][0]
        tracker.update(detections(output, side, scale, is_yolox))
        clock.frame()
    clock.tell()


main()
