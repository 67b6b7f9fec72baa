"""Labels for what a set does not label, from openly licensed detectors (Apache-2.0) trained on COCO.

    python -m resident.teacher TRAIN_DIR MODELS_DIR OUT.json

OUT.json: {"set/image": [[class, left, top, right, bottom, score, sure], ...]} with boxes in pixels of the picture.
A box is sure when one teacher is confident or two agree; the others mark places about which nothing is said.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnxruntime as ort

from .classes import FROM_COCO

REPOSITORY = Path(__file__).parents[3]
TEACHERS = {"deimv2_hgnetv2_femto_coco.onnx": 0.5, "yolox_nano_416_kazuhito.onnx": 0.6}
FLOOR, AGREE_SCORE, AGREE_IOU = 0.15, 0.3, 0.6


def reference_decoders() -> ModuleType:
    """The independent decoders that the project's own tests compare with."""
    spec = importlib.util.spec_from_file_location("reference", REPOSITORY / "tests/reference/reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Detector:
    """One ONNX detector with its documented decoding; boxes in frame pixels with COCO classes."""

    def __init__(self, path: Path, threads: int = 1, floor: float = FLOOR) -> None:
        self._reference = reference_decoders()
        self._reference.FLOOR = floor
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._decode = self._reference.MODELS[path.stem]
        self._size = self.session.get_inputs()[0].shape[:1:-1]

    def __call__(self, rgb: np.ndarray) -> list[tuple[float, ...]]:
        """[H, W, 3] u8 RGB -> (left, top, right, bottom, class, score) each."""
        first = self.session.get_inputs()[0].name
        run = lambda x, **more: self.session.run(None, {first: x, **more})
        return self._decode(run, self._reference.Colours(rgb), *self._size)


def merged(per_teacher: list[tuple[float, list[tuple[float, ...]]]], iou) -> list[list[float]]:
    """One list out of what each teacher (its confident score, its boxes) says."""
    found: list[list[float]] = []
    for confident, boxes in per_teacher:
        for *box, coco, score in sorted(boxes, key=lambda one: -one[5]):
            if int(coco) not in FROM_COCO or min(box[2] - box[0], box[3] - box[1]) < 2:
                continue
            label = FROM_COCO[int(coco)]
            same = [f for f in found if f[0] == label and iou(f[1:5], box) >= AGREE_IOU]
            if same:
                best = max(same, key=lambda f: iou(f[1:5], box))
                agreed = best[5] >= AGREE_SCORE and score >= AGREE_SCORE
                best[6] = int(bool(best[6]) or agreed or score >= confident)
            else:
                found.append([label, *(round(float(v), 1) for v in box), round(float(score), 3), int(score >= confident)])
    return found


def main() -> None:
    """Runs the teachers over every picture of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    teachers = [(confident, Detector(arguments.models / name)) for name, confident in TEACHERS.items()]
    iou = reference_decoders().iou
    labels = {}
    pictures = sorted(arguments.train.glob("*/images/*"))
    for number, path in enumerate(pictures):
        rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        said = [(confident, teacher(rgb)) for confident, teacher in teachers]
        labels[f"{path.parts[-3]}/{path.stem}"] = merged(said, iou)
        if number % 200 == 0:
            print(f"{number} of {len(pictures)}", flush=True)
    arguments.out.write_text(json.dumps(labels))


if __name__ == "__main__":
    main()
