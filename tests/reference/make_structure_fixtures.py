#!/usr/bin/env python3
"""Makes small graphs whose weights, costs and residual blocks are known by hand.

    pip install onnx numpy
    python tests/reference/make_structure_fixtures.py tests/fixtures/structure

All take [1, 4, 8, 8] (dynamic.onnx: [1, 3, any, any]) and have 4 channels throughout, so that a 3x3 convolution has
4 * 4 * 9 + 4 = 148 parameters and costs 4 * 8 * 8 * 36 = 9216 multiply-accumulates.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

C = 4


class Net:
    def __init__(self, shape=(1, C, 8, 8)):
        self.nodes, self.inits, self.n = [], [], 0
        self.x = "x"
        self.input = helper.make_tensor_value_info("x", T.FLOAT, list(shape))

    def const(self, value):
        self.n += 1
        name = f"c{self.n}"
        self.inits.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind, inputs, **attributes):
        self.n += 1
        out = f"t{self.n}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def conv(self, x, kernel=3, stride=1, cin=C, cout=C):
        w = self.const(np.full((cout, cin, kernel, kernel), 0.01, np.float32))
        b = self.const(np.zeros(cout, np.float32))
        pad = kernel // 2
        return self.op("Conv", [x, w, b], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def save(self, folder, name, y, opset=17):
        out = helper.make_tensor_value_info(y, T.FLOAT, None)
        graph = helper.make_graph(self.nodes, name, [self.input], [out], self.inits)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="fixture")
        model.ir_version = 9
        onnx.save(model, pathlib.Path(folder) / f"{name}.onnx")


def post_activation(folder):
    """Three blocks conv-relu-conv-add-relu: each input is added as it is, an activation follows every sum."""
    net = Net()
    x = net.op("Relu", [net.conv(net.x)])
    for _ in range(3):
        f = net.conv(net.op("Relu", [net.conv(x)]))
        x = net.op("Relu", [net.op("Add", [f, x])])
    net.save(folder, "post_activation", x)


def pre_activation(folder):
    """Three blocks relu-conv-relu-conv-add: the sums are joined by nothing."""
    net = Net()
    x = net.conv(net.x)
    for _ in range(3):
        f = net.conv(net.op("Relu", [net.conv(net.op("Relu", [x]))]))
        x = net.op("Add", [x, f])
    net.save(folder, "pre_activation", x)


def projection(folder):
    """Pre-activation: one block, one that halves with a 1x1 convolution, one with a pooled shortcut, one block."""
    net = Net()
    x = net.conv(net.x)
    x = net.op("Add", [x, net.conv(net.op("Relu", [x]))])
    x = net.op("Add", [net.conv(x, 1, 2), net.conv(net.op("Relu", [x]), 3, 2)])
    pooled = net.op("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Add", [net.conv(net.op("Relu", [x]), 3, 2), pooled])
    x = net.op("Add", [x, net.conv(net.op("Relu", [x]))])
    net.save(folder, "projection", x)


def qdq(folder):
    """Two pre-activation blocks, every tensor quantised and dequantised, weights int8."""
    net = Net()
    scale, zero = net.const(np.float32(0.1)), net.const(np.int8(0))

    def fake(x):
        return net.op("DequantizeLinear", [net.op("QuantizeLinear", [x, scale, zero]), scale, zero])

    def conv(x):
        w = net.op("DequantizeLinear", [net.const(np.ones((C, C, 3, 3), np.int8)), scale, zero])
        b = net.op("DequantizeLinear", [net.const(np.zeros(C, np.int32)), scale])
        return net.op("Conv", [x, w, b], kernel_shape=[3, 3], pads=[1] * 4)

    x = fake(conv(fake(net.x)))
    for _ in range(2):
        f = fake(conv(fake(net.op("Relu", [x]))))
        x = fake(net.op("Add", [x, f]))
    net.save(folder, "qdq", x)


def csp_concat(folder):
    """Cross-stage parts joined by Concat; sums only across a pyramid and with constants. No residual block."""
    net = Net()
    x = net.conv(net.x)
    left, right = net.conv(x, 1), net.conv(net.conv(x, 1))
    x = net.op("Concat", [left, right], axis=1)
    x = net.op("Add", [x, net.const(np.ones((1, 2 * C, 1, 1), np.float32))])
    low = net.conv(x, 3, 2, 2 * C, C)
    up = net.op("Resize", [low, "", net.const(np.float32([1, 1, 2, 2]))], mode="nearest")
    x = net.op("Add", [net.conv(x, 1, 1, 2 * C, C), up])
    net.save(folder, "csp_concat", x)


def dynamic(folder):
    """Any size; a Reshape whose target is computed, a product, and a product inside a branch."""
    net = Net((1, 3, None, None))
    x = net.conv(net.x, 3, 2, 3)
    shape = net.op("Shape", [x])
    batch = net.op("Gather", [shape, net.const(np.int64([0, 1]))], axis=0)
    flat = net.op("Reshape", [x, net.op("Concat", [batch, net.const(np.int64([-1]))], axis=0)])
    rows = net.op("Transpose", [flat], perm=[0, 2, 1])
    y = net.op("MatMul", [rows, net.const(np.ones((C, 5), np.float32))])
    y = net.op("Add", [y, net.const(np.ones(5, np.float32))])
    # As many rows as there are positive elements: nobody knows before the picture is seen.
    picked = net.op("Transpose", [net.op("NonZero", [y])], perm=[1, 0])
    z = net.op("MatMul", [net.op("Cast", [picked], to=T.FLOAT), net.const(np.ones((3, 2), np.float32))])
    net.save(folder, "dynamic", z)


def depthwise(folder):
    """Grouped, transposed and plain products: the costs differ from each other."""
    net = Net()
    w = net.const(np.ones((C, 1, 3, 3), np.float32))
    x = net.op("Conv", [net.x, w], kernel_shape=[3, 3], pads=[1] * 4, group=C)
    w = net.const(np.ones((C, 2, 2, 2), np.float32))
    x = net.op("ConvTranspose", [x, w], kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Flatten", [net.op("GlobalAveragePool", [x])])
    x = net.op("Gemm", [x, net.const(np.ones((3, 2), np.float32)), net.const(np.ones(3, np.float32))], transB=1)
    net.save(folder, "depthwise", x)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for make in (post_activation, pre_activation, projection, qdq, csp_concat, dynamic, depthwise):
        make(target)
