"""An exported network -> an int8 one (QDQ), calibrated on training pictures.

    python -m resident.quantize MODEL.onnx OUT.onnx --train DIR [--dataset DIR]

Weights per channel, activations per tensor (least and largest value seen), the first convolution and the last ones of
the heads left in f32: the picture itself goes into that one, and boxes, scores and embeddings come out of these. Held-out
pictures are for measuring and have no part in it.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from .evaluate import letterboxed
from .export import INPUT
from .pictures import read
from .split import is_held_out, signature

PICTURES = 160


class Reader(CalibrationDataReader):
    """Letterboxed pictures one by one."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = iter(paths)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, None at the end."""
        path = next(self.paths, None)
        if path is None:
            return None
        return {"images": letterboxed(cv2.imread(str(path))[..., ::-1], *INPUT)[0]}


def quantized_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that become int8: all but the first, whose input is the picture, and the last ones of
    the heads."""
    names = {t.name: tuple(t.dims) for t in model.graph.initializer}
    convs = [n for n in model.graph.node if n.op_type == "Conv"]
    followed = {i for n in model.graph.node if n.op_type in ("Conv", "Relu", "BatchNormalization", "Add") for i in n.input}
    kept = [n.name for n in convs[1:] if n.output[0] in followed and names[n.input[1]][1] > 1]
    return kept


def trained(folder: Path) -> list[Path]:
    """The pictures of a set that are not held out, in name order."""
    paths = sorted((folder / "images").iterdir())
    signatures = np.stack([signature(rgb) for rgb in read(paths)])
    is_out = is_held_out([f"{folder.name}/{path.stem}" for path in paths], signatures)
    return [path for path, out in zip(paths, is_out) if not out]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, action="append", default=[])
    parser.add_argument("--pictures", type=int, default=PICTURES)
    arguments = parser.parse_args()
    real = [p for folder in sorted(arguments.train.iterdir()) if (folder / "names.txt").exists() for p in trained(folder)]
    simulated = [p for folder in arguments.dataset for p in sorted((folder / "images").iterdir())]
    paths = [group[i] for group in (real, simulated) if group for i in np.linspace(0, len(group) - 1, arguments.pictures // 2).astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(arguments.model), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(str(prepared))
        quantize_static(
            str(prepared), str(arguments.out), Reader(paths), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=quantized_nodes(model) or None, extra_options={"ActivationSymmetric": False},
        )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB, {len(quantized_nodes(model))} convolutions in int8")


if __name__ == "__main__":
    main()
