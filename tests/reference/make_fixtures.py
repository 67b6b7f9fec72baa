#!/usr/bin/env python3
"""Makes small ONNX graphs with the real signatures of detector families that are too large to keep.

    pip install onnx numpy
    python tests/reference/make_fixtures.py tests/fixtures/models

Every graph takes 96x96 pictures and "sees" the same two objects, whatever the picture:

    A  model pixels 8,16,24,48   class 1   confidence 0.9
    B  model pixels 32,8,56,40   class 0   confidence 0.6

`sum(picture) * 0` is added to an output, so that the picture is really read. Names, ranks, types, orders of
columns and the operations at the end of the graph follow what the exporters of each family write.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

SIZE = 96
A, B = (8, 16, 24, 48), (32, 8, 56, 40)
CELLS = 144 + 36 + 9  # strides 8, 16, 32 at 96x96
OBJECTS = [(A, 1, 0.9), (B, 0, 0.6)]
F32, F16, U8, I64, I32 = T.FLOAT, T.FLOAT16, T.UINT8, T.INT64, T.INT32
NUMPY = {F32: np.float32, F16: np.float16, U8: np.uint8, I64: np.int64, I32: np.int32}


def cxcywh(box, scale=1.0):
    l, t, r, b = box
    return [(l + r) / 2 * scale, (t + b) / 2 * scale, (r - l) * scale, (b - t) * scale]


def logit(p):
    return float(np.log(p / (1 - p)))


class Graph:
    def __init__(self, image="images", dtype=F32, shape=(1, 3, SIZE, SIZE), reads=True):
        self.nodes, self.inits, self.outputs, self.metadata, self.n = [], [], [], {}, 0
        self.image = image
        self.inputs = [helper.make_tensor_value_info(image, dtype, list(shape))]
        x = image
        if dtype != F32:
            x = self.op("Cast", [x], to=F32)
        self.zero = self.op("Mul", [self.op("ReduceMean", [x], keepdims=0), self.const(0.0)])

    def name(self):
        self.n += 1
        return f"t{self.n}"

    def const(self, value, dtype=F32):
        name = self.name()
        self.inits.append(numpy_helper.from_array(np.asarray(value, dtype=NUMPY[dtype]), name))
        return name

    def op(self, kind, inputs, out=None, n=1, **attributes):
        outs = [out] if out else [self.name() for _ in range(n)]
        self.nodes.append(helper.make_node(kind, inputs, outs, **attributes))
        return outs[0] if len(outs) == 1 else outs

    def input(self, name, dtype, shape):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, name, source, dtype, shape):
        self.op("Identity", [source], name)
        self.outputs.append(helper.make_tensor_value_info(name, dtype, None if shape is None else list(shape)))

    def table(self, rows, n, width, leading=(1,)):
        """`leading + [n, width]` of zeros but for the first rows."""
        top = self.op("Add", [self.const(np.asarray(rows, np.float32)), self.zero])
        rest = self.op("ConstantOfShape", [self.const([n - len(rows), width], I64)])
        table = self.op("Concat", [top, rest], axis=0)
        return self.op("Reshape", [table, self.const([*leading, n, width], I64)]) if leading else table

    def save(self, folder, name, producer="pytorch", version="2.5.0", opset=17):
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, self.outputs, self.inits)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer,
                                  producer_version=version, ir_version=8)
        for key, value in self.metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")


def scores(classes, label, confidence):
    row = [0.0] * classes
    row[label] = confidence
    return row


def v5_rows(objectness=1.0):
    return [cxcywh(b) + [objectness] + scores(3, c, p) for b, c, p in OBJECTS]


def v8_rows(classes=3):
    return [cxcywh(b) + scores(classes, c, p) for b, c, p in OBJECTS]


def yolov5(folder):
    # [1, 3 * cells, 5 + C]; objectness * class is the confidence: 0.9 = 0.95 * 0.9474, 0.6 = 0.8 * 0.75.
    g = Graph()
    rows = [cxcywh(A) + [0.95, 0.0, 0.9 / 0.95, 0.0], cxcywh(B) + [0.8, 0.75, 0.0, 0.0]]
    g.output("output0", g.table(rows, 3 * CELLS, 8), F32, [1, 3 * CELLS, 8])
    g.metadata = {"stride": "32", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "yolov5")


def yolov5_dynamic(folder):
    # Axes are symbols, as `export.py --dynamic` writes them: the shapes are known after a run only.
    g = Graph(shape=["batch", 3, "height", "width"])
    g.output("output0", g.table(v5_rows(), 3 * 8400, 8), F32, ["batch", "anchors", 8])
    g.metadata = {"stride": "32", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "yolov5_dynamic")


def yolov7_end2end(folder):
    # --end2end without TensorRT: NonMaxSuppression inside, rows batch, l, t, r, b, class, score.
    g = Graph()
    rows = [[0.0, *b, c, p] for b, c, p in OBJECTS]
    picked = g.op("NonMaxSuppression", [g.const([[A, B]]), g.const([[[0.9, 0.6]]]), g.const([10], I64)])
    index = g.op("Squeeze", [g.op("Slice", [picked, g.const([2], I64), g.const([3], I64), g.const([1], I64)]), g.const([1], I64)])
    table = g.op("Add", [g.const(rows), g.zero])
    g.output("output", g.op("Gather", [table, index], axis=0), F32, ["Concatoutput_dim_0", 7])
    g.save(folder, "yolov7_end2end", version="1.12.1")


def yolox_decoded(folder):
    # decode_in_inference: sizes are exp(value) * stride. Metadata is absent, 80 classes.
    g = Graph()
    rows = [cxcywh(b) + [1.0] + scores(80, c, p) for b, c, p in OBJECTS]
    table = g.table(rows, CELLS, 85)
    parts = [g.op("Slice", [table, g.const([i], I64), g.const([j], I64), g.const([2], I64)])
             for i, j in ((0, 2), (2, 4), (4, 85))]
    size = g.op("Mul", [g.op("Exp", [g.op("Log", [g.op("Add", [g.op("Div", [parts[1], g.const(8.0)]), g.const(1e-9)])])]), g.const(8.0)])
    g.output("output", g.op("Concat", [parts[0], size, parts[2]], axis=2), F32, [1, CELLS, 85])
    g.save(folder, "yolox_decoded", version="1.10")


def yolov8(folder):
    g = Graph()
    g.output("output0", g.op("Transpose", [g.table(v8_rows(), CELLS, 7)], perm=[0, 2, 1]), F32, [1, 7, CELLS])
    g.metadata = {"task": "detect", "stride": "32", "imgsz": "[96, 96]", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "yolov8")
    # Rows and columns exchanged, no metadata, 80 classes.
    g = Graph()
    g.output("output0", g.table(v8_rows(80), CELLS, 84), F32, [1, CELLS, 84])
    g.save(folder, "yolov8_transposed")
    # NHWC float input, as tf2onnx and edge tool chains leave it.
    g = Graph(image="input", shape=(1, SIZE, SIZE, 3))
    g.output("output0", g.op("Transpose", [g.table(v8_rows(80), CELLS, 84)], perm=[0, 2, 1]), F32, [1, 84, CELLS])
    g.save(folder, "yolov8_nhwc", producer="tf2onnx", version="1.16")
    # Half precision throughout.
    g = Graph(dtype=F16)
    g.output("output0", g.op("Cast", [g.op("Transpose", [g.table(v8_rows(80), CELLS, 84)], perm=[0, 2, 1])], to=F16), F16, [1, 84, CELLS])
    g.save(folder, "yolov8_f16")
    # No batch axis anywhere; symbols for the output.
    g = Graph(shape=(3, SIZE, SIZE))
    g.output("output0", g.op("Transpose", [g.table(v8_rows(80), CELLS, 84, leading=())], perm=[1, 0]), F32, ["values", "candidates"])
    g.save(folder, "yolov8_batchless")
    # Segmentation: mask coefficients behind the classes, prototypes beside.
    g = Graph()
    g.output("output0", g.op("Transpose", [g.table([r + [7.0] * 32 for r in v8_rows()], CELLS, 39)], perm=[0, 2, 1]), F32, [1, 39, CELLS])
    g.output("output1", g.op("ConstantOfShape", [g.const([1, 32, 24, 24], I64)]), F32, [1, 32, 24, 24])
    g.metadata = {"task": "segment", "stride": "32", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "yolov8_seg")


def yolov10(folder):
    # [1, 300, 6] l, t, r, b, score, class, picked by TopK.
    g = Graph(shape=["batch", 3, SIZE, SIZE])
    rows = [[*b, p, c] for b, c, p in OBJECTS]
    table = g.table(rows, 300, 6)
    score = g.op("Squeeze", [g.op("Slice", [table, g.const([4], I64), g.const([5], I64), g.const([2], I64)]), g.const([2], I64)])
    _, index = g.op("TopK", [score, g.const([300], I64)], n=2, axis=1)
    wide = g.op("Expand", [g.op("Unsqueeze", [index, g.const([2], I64)]), g.const([1, 300, 6], I64)])
    g.output("output0", g.op("GatherElements", [table, wide], axis=1), F32, ["batch", 300, 6])
    g.save(folder, "yolov10")


def ultralytics_finished(folder):
    # RT-DETR, release 8.4: [1, 300, 6] centre and size as parts of the picture, score, class, picked by TopK;
    # the metadata deny "end2end".
    g = Graph(shape=["batch", 3, "height", "width"])
    table = g.table([cxcywh(b, 1 / SIZE) + [p, c] for b, c, p in OBJECTS], 300, 6)
    score = g.op("Squeeze", [g.op("Slice", [table, g.const([4], I64), g.const([5], I64), g.const([2], I64)]), g.const([2], I64)])
    _, index = g.op("TopK", [score, g.const([300], I64)], n=2, axis=1)
    wide = g.op("Expand", [g.op("Unsqueeze", [index, g.const([2], I64)]), g.const([1, 300, 6], I64)])
    g.output("output0", g.op("GatherElements", [table, wide], axis=1), F32, ["batch", "queries", 6])
    g.metadata = {"description": "Ultralytics best model", "head": "RTDETRDecoder", "task": "detect", "stride": "32", "batch": "1",
                  "imgsz": f"[{SIZE}, {SIZE}]", "end2end": "False", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "ultralytics_rtdetr", version="2.15.0", opset=18)
    # nms=True with dynamic=True: NMS is unrolled for the batch of the export (one), so that a second picture
    # comes back as zeros.
    g = Graph(shape=["batch", 3, "height", "width"])
    picked = g.op("NonMaxSuppression", [g.const([[A, B]]), g.const([[[0.9, 0.6]]]), g.const([10], I64)])
    index = g.op("Squeeze", [g.op("Slice", [picked, g.const([2], I64), g.const([3], I64), g.const([1], I64)]), g.const([1], I64)])
    first = g.op("Gather", [g.table([[*b, p, c] for b, c, p in OBJECTS], 2, 6, ()), index], axis=0)
    rest = g.op("Concat", [g.op("Slice", [g.op("Shape", [g.image]), g.const([0], I64), g.const([1], I64)]), g.const([300, 6], I64)], axis=0)
    zeros = g.op("ConstantOfShape", [rest])
    at = g.const([[0, 0], [0, 1]], I64)
    g.output("output0", g.op("ScatterND", [zeros, at, first]), F32, ["batch", 300, 6])
    g.metadata = {"description": "Ultralytics YOLOv8n model", "head": "Detect", "task": "detect", "stride": "32", "batch": "1",
                  "imgsz": f"[{SIZE}, {SIZE}]", "end2end": "False", "args": "{'batch': 1, 'nms': True, 'dynamic': True}",
                  "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "yolov8_nms_dynamic", version="2.15.0", opset=18)


def deployed_detr(folder, name, order, batch):
    # RT-DETR, D-FINE, DEIM: sigmoid, top k over (query, class), boxes times orig_target_sizes (W, H).
    g = Graph(shape=[batch, 3, SIZE, SIZE])
    sizes = g.input("orig_target_sizes", I64, [batch, 2])
    queries, classes = 300, 80
    table = np.full((2, 84), -12.0, np.float32)
    for row, (box, label, p) in zip(table, OBJECTS):
        row[:4] = cxcywh(box, 1 / SIZE)
        row[4 + label] = logit(p)
    raw = g.table(table, queries, 84)
    cut = lambda t, i, j: g.op("Slice", [t, g.const([i], I64), g.const([j], I64), g.const([2], I64)])
    boxes, values = cut(raw, 0, 4), cut(raw, 4, 84)
    # Rows of zeros have a logit of 0: push them down.
    filled = g.op("Concat", [g.const(np.zeros((1, 2, 1))), g.op("Expand", [g.const([[[-12.0]]]), g.const([1, queries - 2, 1], I64)])], axis=1)
    values = g.op("Sigmoid", [g.op("Add", [values, filled])])
    flat = g.op("Flatten", [values])
    best, index = g.op("TopK", [flat, g.const([300], I64)], n=2, axis=1)
    query = g.op("Div", [index, g.const(classes, I64)])
    labels = g.op("Sub", [index, g.op("Mul", [query, g.const(classes, I64)])])
    parts = [cut(boxes, i, i + 1) for i in range(4)]
    half = lambda t: g.op("Div", [t, g.const(2.0)])
    ltrb = g.op("Concat", [g.op("Sub", [parts[0], half(parts[2])]), g.op("Sub", [parts[1], half(parts[3])]),
                           g.op("Add", [parts[0], half(parts[2])]), g.op("Add", [parts[1], half(parts[3])])], axis=2)
    scale = g.op("Unsqueeze", [g.op("Cast", [g.op("Concat", [sizes, sizes], axis=1)], to=F32), g.const([1], I64)])
    ltrb = g.op("Mul", [ltrb, scale])
    wide = g.op("Expand", [g.op("Unsqueeze", [query, g.const([2], I64)]), g.const([1, 300, 4], I64)])
    made = {"labels": (labels, I64, [batch, 300]), "boxes": (g.op("GatherElements", [ltrb, wide], axis=1), F32, [batch, 300, 4]),
            "scores": (best, F32, [batch, 300])}
    for output in order:
        g.output(output, *made[output])
    g.save(folder, name)


def raw_detr(folder):
    def raw(name, image, names, classes, labels, batch=1):
        g = Graph(image=image, shape=[batch, 3, SIZE, SIZE])
        table = np.full((2, 4 + classes), -12.0, np.float32)
        for row, (box, _, p), label in zip(table, OBJECTS, labels):
            row[:4] = cxcywh(box, 1 / SIZE)
            row[4 + label] = logit(p)
        queries = 300
        # Unused queries: logit -12, a box of no size.
        rest = np.full((1, 4 + classes), -12.0, np.float32)
        rest[:, :4] = 0
        top = g.op("Add", [g.const(table), g.zero])
        rest = g.op("Expand", [g.const(rest), g.const([queries - 2, 4 + classes], I64)])
        whole = g.op("Unsqueeze", [g.op("Concat", [top, rest], axis=0), g.const([0], I64)])
        cut = lambda i, j: g.op("Slice", [whole, g.const([i], I64), g.const([j], I64), g.const([2], I64)])
        made = {"boxes": (cut(0, 4), F32, [batch, queries, 4]), "logits": (cut(4, 4 + classes), F32, [batch, queries, classes])}
        for output, what in names:
            g.output(output, *made[what])
        g.save(folder, name)

    # RF-DETR: category numbers 0..90, person 1 and bicycle 2.
    raw("rfdetr", "input", (("dets", "boxes"), ("labels", "logits")), 91, (2, 1))
    # Hugging Face export of RT-DETR and D-FINE.
    raw("detr_logits_pred_boxes", "pixel_values", (("logits", "logits"), ("pred_boxes", "boxes")), 80, (1, 0), "batch_size")
    # RF-DETR trained on three classes: as many logits as box numbers.
    raw("rfdetr_3_classes", "input", (("dets", "boxes"), ("labels", "logits")), 4, (1, 0))


def detr_of_three(folder):
    # DETR of Hugging Face fine-tuned on three classes: a mask beside the picture, softmax (attention) inside, one value
    # for "no object" behind the classes, no sigmoid at the end.
    g = Graph(image="pixel_values", shape=["batch_size", 3, SIZE, SIZE])
    mask = g.input("pixel_mask", I64, ["batch_size", 64, 64])
    # 1 if every element of the mask is 1: logits of a masked picture would be 0.
    whole = g.op("ReduceMin", [g.op("Cast", [mask], to=F32)], keepdims=0)
    attention = g.op("ReduceMax", [g.op("Softmax", [g.const([[0.0, 0.0]])])], keepdims=0)
    whole = g.op("Mul", [whole, g.op("Mul", [attention, g.const(2.0)])])
    boxes = g.table([cxcywh(b, 1 / SIZE) for b, _, _ in OBJECTS], 100, 4)
    rows = np.full((1, 100, 4), -30.0, np.float32)
    rows[..., 3] = 0
    for i, (_, label, p) in enumerate(OBJECTS):
        rows[0, i, label], rows[0, i, 3] = np.log(p), np.log(1 - p)
    g.output("logits", g.op("Mul", [g.const(rows), whole]), F32, ["batch_size", 100, 4])
    g.output("pred_boxes", g.op("Mul", [boxes, whole]), F32, ["batch_size", 100, 4])
    g.save(folder, "detr_of_three")


def ssd_tensorflow(folder):
    # NHWC bytes of any size; t, l, b, r as parts; labels from 1 as floats; outputs end in :0.
    g = Graph(image="image_tensor:0", dtype=U8, shape=["unk__1", "unk__2", "unk__3", 3])
    boxes = [[b[1] / SIZE, b[0] / SIZE, b[3] / SIZE, b[2] / SIZE] for b, _, _ in OBJECTS]
    # Labels: person is 1, bicycle 2 of the COCO categories.
    g.output("detection_boxes:0", g.table(boxes, 100, 4), F32, ["unk__4", 100, 4])
    pad = lambda values, fill: g.op("Unsqueeze", [g.op("Add", [g.const(values + [fill] * (100 - len(values))), g.zero]), g.const([0], I64)])
    g.output("detection_classes:0", pad([2.0, 1.0], 1.0), F32, ["unk__5", 100])
    g.output("detection_scores:0", pad([0.9, 0.6], 0.0), F32, ["unk__6", 100])
    g.output("num_detections:0", g.const([2.0]), F32, ["unk__7"])
    g.save(folder, "ssd_tensorflow", producer="tf2onnx", version="1.9.3")


def paddle(folder):
    # PP-YOLOE+: image and scale_factor (y, x); rows class, score, box divided by scale_factor; counts beside.
    g = Graph(image="image", shape=["DynamicDimension.0", 3, SIZE, SIZE])
    factor = g.input("scale_factor", F32, ["DynamicDimension.1", 2])
    yx = g.op("Gather", [factor, g.const(0, I64)], axis=0)
    xy = g.op("Gather", [yx, g.const([1, 0], I64)], axis=0)
    ltrb = g.op("Div", [g.const([A, B]), g.op("Concat", [xy, xy], axis=0)])
    picked = g.op("NonMaxSuppression", [g.const([[A, B]]), g.const([[[0.9, 0.6]]]), g.const([10], I64)])
    index = g.op("Squeeze", [g.op("Slice", [picked, g.const([2], I64), g.const([3], I64), g.const([1], I64)]), g.const([1], I64)])
    head = g.op("Add", [g.const([[c, p] for _, c, p in OBJECTS]), g.zero])
    rows = g.op("Gather", [g.op("Concat", [head, ltrb], axis=1), index], axis=0)
    g.output("multiclass_nms3_0.tmp_0", rows, F32, ["DynamicDimension.2", 6])
    count = g.op("Cast", [g.op("Shape", [index])], to=I32)
    g.output("multiclass_nms3_0.tmp_2", count, I32, ["DynamicDimension.3"])
    g.save(folder, "ppyoloe_plus_nms", producer="PaddlePaddle", version="")


def efficient_nms(folder):
    g = Graph()
    g.output("num_dets", g.const([[2]], I32), I32, [1, 1])
    g.output("det_boxes", g.table([b for b, _, _ in OBJECTS], 100, 4), F32, [1, 100, 4])
    pad = lambda values, dtype: g.const([values + [0] * 98], dtype)
    g.output("det_scores", pad([0.9, 0.6], F32), F32, [1, 100])
    g.output("det_classes", pad([1, 0], I32), I32, [1, 100])
    g.save(folder, "yolo_efficient_nms")


def nanodet_plus(folder):
    # One row per cell: 3 scores through a sigmoid, 4 x 8 bins; four strides, cells at their corner.
    g = Graph(image="data")
    cells = CELLS + 4
    rows = np.zeros((cells, 35), np.float32)
    rows[:, :3] = -12.0
    # Cell (x 2, y 4) of stride 8, corner 16, 32: A is 8, 16 left and up, 8, 16 right and down: 1, 2, 1, 2 strides.
    # Cell (x 5, y 3), corner 40, 24: B is 8, 16, 16, 16 away: 1, 2, 2, 2 strides. A bin of +30 has all the weight.
    for cell, (label, p), bins in ((4 * 12 + 2, (1, 0.9), (1, 2, 1, 2)), (3 * 12 + 5, (0, 0.6), (1, 2, 2, 2))):
        rows[cell, label] = logit(p)
        for side, bin in enumerate(bins):
            rows[cell, 3 + side * 8 + bin] = 30.0
    weights = g.const(np.zeros((cells * 35, 3, 1, 1)))
    conv = g.op("Conv", [g.op("GlobalAveragePool", [g.image]), weights, g.const(rows.reshape(-1))])
    table = g.op("Reshape", [conv, g.const([1, cells, 35], I64)])
    cut = lambda i, j: g.op("Slice", [table, g.const([i], I64), g.const([j], I64), g.const([2], I64)])
    g.output("output", g.op("Concat", [g.op("Sigmoid", [cut(0, 3)]), cut(3, 35)], axis=2), F32, [1, cells, 35])
    g.save(folder, "nanodet_plus", version="1.9")


def yolov5_raw(folder):
    # Three maps [1, 3, h, w, 5 + C] before sigmoid and anchors, as RKNN and TensorRT chains export them.
    # A: centre 16,32, size 16x32 in cell (2, 4) of stride 8: offset 0 = 2 * 0.25 - 0.5; anchor 16x30: (2v)^2 = 1, 32/30.
    # B: centre 44,24, size 24x32 in cell (2, 1) of stride 16, offset 0.75 and 0.5: v = 0.625 and 0.5; anchor 30x61.
    g = Graph()
    for stride, cell, row in ((8, (1, 4, 2), [0.25, 0.25, 0.5, (32 / 30) ** 0.5 / 2, 0.95, 0.01, 0.9 / 0.95, 0.01]),
                              (16, (0, 1, 2), [0.625, 0.5, (24 / 30) ** 0.5 / 2, (32 / 61) ** 0.5 / 2, 0.8, 0.75, 0.01, 0.01]),
                              (32, None, None)):
        side = SIZE // stride
        values = np.zeros((1, 3, side, side, 8), np.float16)
        values[..., 4] = -12
        if cell:
            values = values.astype(np.float32)
            values[0, cell[0], cell[1], cell[2]] = [logit(v) for v in row]
            index = np.array([[0, *cell]])
            base = g.op("Expand", [g.const([0, 0, 0, 0, -12, 0, 0, 0]), g.const(values.shape, I64)])
            made = g.op("ScatterND", [base, g.const(index, I64), g.op("Add", [g.const([[logit(v) for v in row]]), g.zero])])
        else:
            made = g.op("Expand", [g.const([0, 0, 0, 0, -12, 0, 0, 0]), g.const(values.shape, I64)])
        g.output(f"output_{stride}", made, F32, [1, 3, side, side, 8])
    g.metadata = {"names": "['person', 'car', 'dog']"}
    g.save(folder, "yolov5_raw")


def dense_pairs(folder):
    # YOLO-NAS: boxes and scores of every cell; PP-YOLOE without NMS: scores [C, N], boxes divided by scale_factor.
    g = Graph(image="input.1")
    g.output("904", g.table([b for b, _, _ in OBJECTS], CELLS, 4), F32, [1, CELLS, 4])
    g.output("913", g.op("Clip", [g.table([scores(80, c, p) for _, c, p in OBJECTS], CELLS, 80)]), F32, [1, CELLS, 80])
    g.save(folder, "yolo_nas")
    g = Graph(image="image", shape=["DynamicDimension.0", 3, SIZE, SIZE])
    factor = g.input("scale_factor", F32, ["DynamicDimension.1", 2])
    xy = g.op("Gather", [g.op("Gather", [factor, g.const(0, I64)], axis=0), g.const([1, 0], I64)], axis=0)
    boxes = g.op("Div", [g.table([b for b, _, _ in OBJECTS], CELLS, 4), g.op("Concat", [xy, xy], axis=0)])
    g.output("tmp_20", boxes, F32, ["DynamicDimension.2", CELLS, 4])
    values = g.op("Clip", [g.table([scores(80, c, p) for _, c, p in OBJECTS], CELLS, 80)])
    g.output("concat_14.tmp_0", g.op("Transpose", [values], perm=[0, 2, 1]), F32, ["DynamicDimension.3", 80, CELLS])
    g.save(folder, "ppyoloe_plus_no_nms", producer="PaddlePaddle", version="")


def yolov6(folder):
    # Objectness that is 1 for every cell stands between boxes and scores; no names, three classes.
    g = Graph()
    boxes = g.table([cxcywh(b) for b, _, _ in OBJECTS], CELLS, 4)
    values = g.op("Clip", [g.table([scores(3, c, p) for _, c, p in OBJECTS], CELLS, 3)])
    boxes = g.op("Mul", [boxes, g.const(1.0)])
    g.output("outputs", g.op("Concat", [boxes, g.const(np.ones((1, CELLS, 1))), values], axis=2), F32, [1, CELLS, 8])
    g.save(folder, "yolov6")


def vectors(n, width=16):
    # Row i has 0.6 in place i and 0.8 in place i + 5, counted round: unit length, and no two rows of 16 alike.
    rows = np.zeros((n, width), np.float32)
    for i, row in enumerate(rows):
        row[i % width], row[(i + 5) % width] = 0.6, 0.8
    return rows


def per_picture(g, values):
    """`values` [N, K] for every picture of the batch."""
    batch = g.op("Slice", [g.op("Shape", [g.image]), g.const([0], I64), g.const([1], I64)])
    shape = g.op("Concat", [batch, g.const(values.shape, I64)], axis=0)
    return g.op("Expand", [g.op("Add", [g.const(values[None]), g.zero]), shape])


def resident(folder):
    # gantryd's own: 20 candidates, A is number 11 and B number 3; vectors of odd pictures point the other way.
    names = '["person", "car", "dog"]'
    n = 20
    boxes, values = np.zeros((n, 4), np.float32), np.zeros((n, 3), np.float32)
    for row, (box, label, p) in zip((11, 3), OBJECTS):
        boxes[row], values[row, label] = box, p
    g = Graph(shape=["batch", 3, "height", "width"])
    batch = g.op("Squeeze", [g.op("Slice", [g.op("Shape", [g.image]), g.const([0], I64), g.const([1], I64)])])
    number = g.op("Range", [g.const(0, I64), batch, g.const(1, I64)])
    odd = g.op("Cast", [g.op("Mod", [number, g.const(2, I64)])], to=F32)
    sign = g.op("Sub", [g.const(1.0), g.op("Mul", [odd, g.const(2.0)])])
    sign = g.op("Unsqueeze", [sign, g.const([1, 2], I64)])
    g.output("boxes", per_picture(g, boxes), F32, ["batch", "candidates", 4])
    g.output("scores", per_picture(g, values), F32, ["batch", "candidates", 3])
    g.output("embeddings", g.op("Mul", [per_picture(g, vectors(n)), sign]), F32, ["batch", "candidates", 16])
    g.metadata = {"head": "resident", "imgsz": f"[{SIZE}, {SIZE}]", "names": names, "license": "Apache-2.0"}
    g.save(folder, "resident")
    # The same, end to end.
    rows = np.zeros((n, 6), np.float32)
    for row, (box, label, p) in zip((11, 3), OBJECTS):
        rows[row] = [*box, p, label]
    g = Graph(shape=["batch", 3, SIZE, SIZE])
    g.output("detections", per_picture(g, rows), F32, ["batch", n, 6])
    g.output("embeddings", per_picture(g, vectors(n)), F32, ["batch", n, 16])
    g.metadata = {"end2end": "True", "names": names}
    g.save(folder, "resident_end_to_end")
    # Another family with vectors beside it, in half precision; A twice, the weaker one goes.
    table = [cxcywh(box) + scores(3, label, p) for box, label, p in (OBJECTS[1], (A, 1, 0.5), OBJECTS[0])]
    g = Graph()
    g.output("embeddings", g.op("Cast", [per_picture(g, vectors(CELLS))], to=F16), F16, [1, CELLS, 16])
    g.output("output0", g.op("Transpose", [g.table(table, CELLS, 7)], perm=[0, 2, 1]), F32, [1, 7, CELLS])
    g.metadata = {"task": "detect", "stride": "32", "names": names}
    g.save(folder, "yolov8_embeddings")
    # Fewer vectors than candidates, which shows when the model runs.
    g = Graph(shape=["batch", 3, SIZE, SIZE])
    g.output("boxes", per_picture(g, boxes), F32, ["batch", "candidates", 4])
    g.output("scores", per_picture(g, values), F32, ["batch", "candidates", 3])
    g.output("embeddings", per_picture(g, vectors(5)), F32, ["batch", "vectors", 16])
    g.metadata = {"head": "resident", "names": names}
    g.save(folder, "resident_too_few_vectors")


def reid(folder):
    # The mean colour of a crop stands for its look: channels first in any number, channels last one at a time.
    g = Graph(shape=["batch", 3, 16, 8])
    g.output("output", g.op("Add", [g.op("Flatten", [g.op("GlobalAveragePool", [g.image])]), g.zero]), F32, ["batch", 3])
    g.save(folder, "reid_nchw")
    g = Graph(image="inputs:0", shape=(1, 16, 8, 3))
    g.output("Identity:0", g.op("ReduceMean", [g.image], axes=[1, 2], keepdims=0), F32, [1, 3])
    g.save(folder, "reid_nhwc", producer="tf2onnx", version="1.16")
    # The file says that any batch will do; the graph makes one vector of all.
    g = Graph(shape=["batch", 3, 16, 8])
    g.output("output", g.op("ReduceMean", [g.image], axes=[0, 2, 3], keepdims=0), F32, None)
    g.outputs[-1] = helper.make_tensor_value_info("output", F32, ["batch", 3])
    g.nodes[-2:] = [helper.make_node("ReduceMean", [g.image], ["m"], axes=[0, 2, 3], keepdims=0),
                    helper.make_node("Unsqueeze", ["m", g.const([0], I64)], ["output"])]
    g.save(folder, "reid_batch_of_one")


def mmdet(folder):
    g = Graph(image="input", shape=["batch", 3, SIZE, SIZE])
    g.output("dets", g.table([[*b, p] for b, _, p in OBJECTS], 100, 5), F32, ["batch", "num_dets", 5])
    g.output("labels", g.const([[1, 0] + [0] * 98], I64), I64, ["batch", "num_dets"])
    g.save(folder, "mmdet")


def torchvision(folder):
    # No batch axis, numbered outputs, mean and deviation inside, labels from 1 with 0 for the background.
    g = Graph(image="images", shape=(3, SIZE, SIZE))
    mean, std = g.const(np.reshape([0.485, 0.456, 0.406], (3, 1, 1))), g.const(np.reshape([0.229, 0.224, 0.225], (3, 1, 1)))
    g.nodes.clear()
    x = g.op("Div", [g.op("Sub", ["images", mean]), std])
    zero = g.op("Mul", [g.op("ReduceMean", [x], keepdims=0), g.const(0.0)])
    g.output("2539", g.op("Add", [g.const([A, B]), zero]), F32, ["n", 4])
    g.output("2540", g.const([0.9, 0.6]), F32, ["n"])
    g.output("2541", g.const([2, 1], I64), I64, ["n"])
    g.save(folder, "torchvision")


def rcnn(folder):
    # R-CNN by torchvision (mean and deviation inside) and by the ONNX model zoo (nothing inside): RoiAlign marks both.
    for name, has_mean in (("rcnn_torchvision", True), ("rcnn_zoo", False)):
        g = Graph(image="image", shape=(3, SIZE, SIZE))
        g.nodes.clear()
        x = "image"
        if has_mean:
            mean, std = g.const(np.reshape([0.485, 0.456, 0.406], (3, 1, 1))), g.const(np.reshape([0.229, 0.224, 0.225], (3, 1, 1)))
            x = g.op("Div", [g.op("Sub", [x, mean]), std])
        x = g.op("Unsqueeze", [x, g.const([0], I64)])
        part = g.op("RoiAlign", [x, g.const([[0, 0, 8, 8]]), g.const([0], I64)], output_height=1, output_width=1)
        zero = g.op("Mul", [g.op("ReduceMean", [part], keepdims=0), g.const(0.0)])
        g.output("6379", g.op("Add", [g.const([A, B]), zero]), F32, ["nbox", 4])
        g.output("6381", g.const([2, 1], I64), I64, ["nbox"])
        g.output("6383", g.const([0.9, 0.6]), F32, ["nbox"])
        g.save(folder, name)


def hostile(folder):
    nan, inf = float("nan"), float("inf")
    g = Graph()
    bad = [
        [nan, 20, 10, 10, 0.0, 0.9, 0.0],   # centre is no number
        [20, 20, inf, 10, 0.0, 0.9, 0.0],   # endless
        [20, 20, -10, 10, 0.0, 0.9, 0.0],   # negative width
        [20, 20, 0, 10, 0.0, 0.9, 0.0],     # no area
        [20, 20, 10, 10, 0.0, nan, 0.0],    # score is no number
        [20, 20, 10, 10, 0.0, 50.0, 0.0],   # score is no score
        [1e9, 20, 10, 10, 0.0, 0.9, 0.0],   # far outside
    ]
    g.output("output0", g.op("Transpose", [g.table(v8_rows() + bad, CELLS, 7)], perm=[0, 2, 1]), F32, [1, 7, CELLS])
    g.metadata = {"task": "detect", "stride": "32", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "hostile_values")
    # A thousand times the rows that the file states.
    g = Graph()
    rows = g.op("Expand", [g.const([[[*A, 0.9, 1.0]]]), g.const([1, 300_000, 6], I64)])
    score = g.op("Add", [rows, g.zero])
    g.output("output0", score, F32, ["batch", "rows", 6])
    g.metadata = {"task": "detect", "stride": "32", "end2end": "True", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "hostile_thousandfold")


def failing(folder):
    """Two objects, but where any colour of any pixel is above 0.5 the runtime refuses: the row asked for is
    not there. So does a network whose card is gone."""
    g = Graph(shape=("N", 3, SIZE, SIZE))
    rows = g.const(np.repeat([[[*A, 0.9, 1.0], [*B, 0.6, 0.0]]], 501, axis=0))
    brightest = g.op("ReduceMax", [g.image], axes=[1, 2, 3], keepdims=0)
    index = g.op("Cast", [g.op("Mul", [brightest, g.const(1000.0)])], to=I64)
    g.output("output0", g.op("Gather", [rows, index], axis=0), F32, ["N", 2, 6])
    g.metadata = {"task": "detect", "stride": "32", "end2end": "True", "names": "{0: 'person', 1: 'car', 2: 'dog'}"}
    g.save(folder, "failing")


def not_detectors(folder):
    g = Graph(image="input", shape=["N", 3, SIZE, SIZE])
    g.output("output", g.op("Softmax", [g.op("Unsqueeze", [g.op("Add", [g.const(np.arange(10.0)), g.zero]), g.const([0], I64)])]), F32, ["N", 10])
    g.save(folder, "classifier")
    g = Graph(image="input")
    g.output("output", g.op("Softmax", [g.op("Unsqueeze", [g.op("Add", [g.const(np.arange(6.0)), g.zero]), g.const([0], I64)])]), F32, [1, 6])
    g.save(folder, "classifier_of_6")
    g = Graph(image="input")
    g.output("output", g.op("ConstantOfShape", [g.const([1, 21, SIZE, SIZE], I64)]), F32, [1, 21, SIZE, SIZE])
    g.save(folder, "segmentation")
    ids = helper.make_tensor_value_info("input_ids", I64, ["batch", "sequence"])
    out = helper.make_tensor_value_info("last_hidden_state", I64, ["batch", "sequence"])
    graph = helper.make_graph([helper.make_node("Identity", ["input_ids"], ["last_hidden_state"])], "g", [ids], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "text_model.onnx")
    # A YOLO for another input size than the file states.
    g = Graph()
    g.output("output0", g.op("Transpose", [g.table(v8_rows(80), 8400, 84)], perm=[0, 2, 1]), F32, [1, 84, 8400])
    g.save(folder, "wrong_size")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/models")
    folder.mkdir(parents=True, exist_ok=True)
    for make in (yolov5, yolov5_dynamic, yolov7_end2end, yolox_decoded, yolov8, yolov10, ultralytics_finished, raw_detr, detr_of_three, ssd_tensorflow, paddle,
                 efficient_nms, nanodet_plus, yolov5_raw, dense_pairs, yolov6, resident, reid, mmdet, torchvision, rcnn, hostile, failing, not_detectors):
        make(folder)
    deployed_detr(folder, "rtdetr", ("labels", "boxes", "scores"), 1)
    deployed_detr(folder, "dfine", ("scores", "labels", "boxes"), "N")
