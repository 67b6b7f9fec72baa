"""Builds tests/fixtures/models/shapes.onnx, a detector of coloured rectangles.

It finds the shapes that tests/support/shapes.rs draws (red "person" 24x64, green "car" 72x40,
blue "truck" 112x56 in a 640x360 frame) with matched filters: the share of a shape-sized window
that has the shape's colour is the score, local maxima are the detections. A hidden part lowers
the score as it does for a trained detector, so tests of the whole path need no foreign weights.

Signature: images [N,3,192,320] RGB 0..1 -> output0 [N,300,6] (left, top, right, bottom in model
pixels, score, class), the form of the end-to-end exports of the YOLOv10 and YOLO26 families.

    python3 tests/reference/make_shapes_detector.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 192, 320
ROWS_PER_CLASS = 100
# A shape of which less can be seen is not detected.
LEAST_VISIBLE = 0.8
# Width and height in model pixels (half of frame pixels), index of the own colour channel.
SHAPES = [("person", 12, 32, 0), ("car", 36, 20, 1), ("truck", 56, 28, 2)]


def main() -> None:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def const(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    # A pixel belongs to a colour if its channel exceeds both others by a third of full scale.
    others = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
    channels = [
        node("Slice", ["images", const(f"from{c}", np.array([c])), const(f"to{c}", np.array([c + 1])), "axis1"], f"channel{c}")
        for c in range(3)
    ]
    const("axis1", np.array([1]))
    const("gain", np.float32(3.0))
    const("zero", np.float32(0.0))
    const("one", np.float32(1.0))
    const("most", np.float32(0.9))
    const("little", np.float32(0.1))
    const("least", np.float32(LEAST_VISIBLE))
    const("flat", np.array([0, -1]))
    const("k", np.array([ROWS_PER_CLASS]))
    const("width", np.array(WIDTH))
    const("last", np.array([2]))
    # Breaks ties between neighbouring cells of equal score.
    tilt = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(1, 1, HEIGHT, WIDTH)
    const("tilt", tilt * np.float32(2e-2 / (HEIGHT * WIDTH)))

    rows = []
    for index, (_, w, h, own) in enumerate(SHAPES):
        p = f"c{index}_"
        a, b = (channels[other] for other in others[own])
        excess = node("Sub", [channels[own], node("Max", [a, b], p + "others")], p + "excess")
        mask = node("Clip", [node("Mul", [excess, "gain"], p + "scaled"), "zero", "one"], p + "mask")
        across = const(p + "across", np.full((1, 1, 1, w), 1.0 / w, np.float32))
        down = const(p + "down", np.full((1, 1, h, 1), 1.0 / h, np.float32))
        summed = node("Conv", [mask, across], p + "summed", pads=[0, w // 2, 0, w // 2 - 1])
        share = node("Conv", [summed, down], p + "share", pads=[h // 2, 0, h // 2 - 1, 0])
        # Half-hidden shapes give a plateau of equal scores: its middle is the best guess.
        around = node("AveragePool", [share], p + "around", kernel_shape=[9, 9], pads=[4, 4, 4, 4], count_include_pad=1)
        mixed = node("Add", [node("Mul", [share, "most"], p + "mostly"), node("Mul", [around, "little"], p + "partly")], p + "mixed")
        score = node("Sub", [mixed, "tilt"], p + "score")
        column_peak = node("MaxPool", [score], p + "column_peak", kernel_shape=[h + 1, 1], pads=[h // 2, 0] * 2)
        peak = node("MaxPool", [column_peak], p + "peak", kernel_shape=[1, w + 1], pads=[0, w // 2] * 2)
        is_peak = node("Cast", [node("Equal", [score, peak], p + "equal")], p + "is_peak", to=TensorProto.FLOAT)
        is_shape = node("Cast", [node("Greater", [share, "least"], p + "enough")], p + "is_shape", to=TensorProto.FLOAT)
        shown = node("Mul", [node("Mul", [share, is_peak], p + "peaks"), is_shape], p + "shown")
        kept = node("Clip", [shown, "zero", "one"], p + "kept")
        flat = node("Reshape", [node("Reshape", [kept, const(p + "shape", np.array([0, HEIGHT * WIDTH]))], p + "flat2"), "flat"], p + "flat")
        nodes.append(helper.make_node("TopK", [flat, "k"], [p + "values", p + "cells"], axis=1))
        column = node("Cast", [node("Mod", [p + "cells", "width"], p + "col")], p + "x", to=TensorProto.FLOAT)
        row = node("Cast", [node("Div", [p + "cells", "width"], p + "row")], p + "y", to=TensorProto.FLOAT)
        edges = []
        for edge, base, offset in (("l", column, -(w // 2)), ("t", row, -(h // 2)), ("r", column, w - w // 2), ("b", row, h - h // 2)):
            edges.append(node("Add", [base, const(p + "d" + edge, np.float32(offset))], p + edge))
        kind = node("Mul", [p + "values", "zero"], p + "nought")
        kind = node("Add", [kind, const(p + "class", np.float32(index))], p + "kind")
        columns = [node("Unsqueeze", [value, "last"], value + "_u") for value in [*edges, p + "values", kind]]
        rows.append(node("Concat", columns, p + "rows", axis=2))
    node("Concat", rows, "output0", axis=1)

    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 3 * ROWS_PER_CLASS, 6])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="gantryd tests")
    model.ir_version = 8
    names = "{" + ", ".join(f"{i}: '{shape[0]}'" for i, shape in enumerate(SHAPES)) + "}"
    helper.set_model_props(model, {"names": names, "task": "detect", "imgsz": f"[{HEIGHT}, {WIDTH}]"})
    onnx.checker.check_model(model)
    out = pathlib.Path(__file__).parents[1] / "fixtures" / "models" / "shapes.onnx"
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)
    print(out, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
