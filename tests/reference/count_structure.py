#!/usr/bin/env python3
"""Counts multiply-accumulates from the shapes that ONNX Runtime really computes.

    pip install onnx onnxruntime numpy
    python tests/reference/count_structure.py MODEL.onnx...

Every tensor is made an output, the graph is run once on zeros without optimisation, and each convolution and
matrix product is counted from the shapes that came out: nothing is inferred. Open dimensions are 1.
"""
import sys

import numpy as np
import onnx
import onnxruntime as ort

WEIGHTS = {"Conv": 1, "ConvInteger": 1, "MatMul": 1, "MatMulInteger": 1, "Gemm": 1, "QLinearConv": 3, "QLinearMatMul": 3,
           "ConvTranspose": 1}
DTYPES = {1: np.float32, 10: np.float16, 2: np.uint8, 6: np.int32, 7: np.int64}


def macs(path):
    model = onnx.load(path)
    graph = model.graph
    stored = {i.name: list(i.dims) for i in graph.initializer}
    feeds = {}
    for value in graph.input:
        if value.name not in stored:
            tensor = value.type.tensor_type
            dims = [d.dim_value if d.dim_value > 0 else 1 for d in tensor.shape.dim]
            feeds[value.name] = np.zeros(dims, DTYPES[tensor.elem_type])
    have = {o.name for o in graph.output}
    for node in graph.node:
        graph.output.extend(onnx.ValueInfoProto(name=n) for n in node.output if n and n not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    shapes = {n: np.shape(v) for n, v in zip(names, session.run(names, feeds))}
    shapes |= stored | {n: v.shape for n, v in feeds.items()}
    total = 0
    for node in graph.node:
        if node.op_type not in WEIGHTS:
            continue
        out, x, w = (shapes[n] for n in (node.output[0], node.input[0], node.input[WEIGHTS[node.op_type]]))
        if node.op_type == "ConvTranspose":
            total += int(np.prod(x)) * int(np.prod(w[1:]))
        elif "Conv" in node.op_type:
            total += int(np.prod(out)) * int(np.prod(w[1:]))
        else:
            turned = any(a.name == "transA" and a.i for a in node.attribute)
            total += int(np.prod(out)) * int(x[-2 if turned else -1])
    return total


if __name__ == "__main__":
    for file in sys.argv[1:]:
        print(f"{file}: {macs(file)} MACs")
