"""Ultralytics as its documentation runs it: `YOLO(model).track(source=video, stream=True)` with ByteTrack.

    python ultralytics_track.py VIDEO MODEL.onnx THREADS
"""

import sys

import onnxruntime
import torch
from clock import Clock
from ultralytics import YOLO

video, model, threads = sys.argv[1:]
side = onnxruntime.InferenceSession(model).get_inputs()[0].shape[-1]
side = side if isinstance(side, int) else 640

torch.set_num_threads(int(threads))
clock = Clock()
yolo = YOLO(model, task="detect")
for _ in yolo.track(source=video, stream=True, verbose=False, save=False, imgsz=side, tracker="bytetrack.yaml", device="cpu"):
    clock.frame()
clock.tell()
