#!/usr/bin/env python3
"""Golden ONNX models for crates/onnx: small models and what onnxruntime computes with them.

    golden_onnx.py make     writes crates/onnx/tests/golden/NAME.onnx and NAME.bin (float32, little endian: the inputs,
                            then the outputs, batch 1, in the model's own layouts)
    golden_onnx.py check    re-exports every golden model through dtmm-onnx and runs onnx.checker and onnxruntime on the
                            result with batch 1 and 3: same inputs and outputs, same values within 1e-5

Needs onnx and onnxruntime; with torch and onnxscript installed, `make` also renews the models named torch_*.
Everything is seeded; the same package versions give the same files.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "crates/onnx/tests/golden"
MODELS = {}


def model(fn):
    MODELS[fn.__name__] = fn
    return fn


class Builder:
    """Adds nodes and initializers one after another."""

    def __init__(self, opset=13):
        self.opset, self.nodes, self.inits, self.count = opset, [], [], 0
        self.rng = np.random.default_rng(7)

    def const(self, value, name=None):
        self.count += 1
        name = name or f"c{self.count}"
        self.inits.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def rand(self, *shape, scale=0.5):
        return self.const((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def positive(self, *shape):
        return self.const(self.rng.uniform(0.5, 1.5, shape).astype(np.float32))

    def ints(self, *values):
        return self.const(np.array(values, dtype=np.int64))

    def floats(self, *values):
        return self.const(np.array(values, dtype=np.float32))

    def op(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"v{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind.lower()}{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, o, i, k, group=1, bias=True, **attributes):
        w = self.rand(o, i // group, *k)
        inputs = [x, w] + ([self.rand(o)] if bias else [])
        return self.op("Conv", *inputs, group=group, kernel_shape=list(k), **attributes)

    def batch_norm(self, x, c):
        return self.op("BatchNormalization", x, self.positive(c), self.rand(c), self.rand(c), self.positive(c))

    def finish(self, inputs, outputs):
        graph = helper.make_graph(
            self.nodes,
            "golden",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.inits,
        )
        m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=7)
        m = onnx.shape_inference.infer_shapes(m, data_prop=True)
        run = session(m)
        for info, value in zip(m.graph.output, run.run(None, feeds(run, 1, 0))):
            if not info.type.tensor_type.HasField("shape"):
                info.CopyFrom(helper.make_tensor_value_info(info.name, TensorProto.FLOAT, ["N", *value.shape[1:]]))
        return m


@model
def conv_windows():
    """Strides, dilations, asymmetric pads, auto_pad; then a flattened Gemm."""
    b = Builder()
    x = b.conv("x", 4, 3, (3, 3), pads=[1, 0, 2, 1], strides=[1, 2])
    x = b.conv(x, 5, 4, (2, 3), dilations=[2, 1], auto_pad="VALID")
    x = b.conv(x, 6, 5, (3, 2), auto_pad="SAME_UPPER", strides=[2, 2])
    x = b.conv(x, 4, 6, (4, 3), auto_pad="SAME_LOWER", bias=False)
    x = b.op("Flatten", x)
    x = b.op("Gemm", x, b.rand(40, 5), b.rand(1, 5), alpha=0.5, beta=2.0)
    return b.finish({"x": ["N", 3, 10, 12]}, [x])


@model
def residual():
    """BatchNorm, ReLU, shortcut, option-A shortcut by Slice and Pad, global average."""
    b = Builder()
    s = b.op("Relu", b.batch_norm(b.conv("x", 4, 3, (3, 3), pads=[1] * 4, bias=False), 4))
    y = b.op("Relu", b.conv(s, 4, 4, (3, 3), pads=[1] * 4))
    y = b.op("Relu", b.op("Add", b.conv(y, 4, 4, (3, 3), pads=[1] * 4), s))
    z = b.conv(y, 8, 4, (3, 3), pads=[1] * 4, strides=[2, 2])
    s = b.op("Slice", y, b.ints(0, 0), b.ints(2**63 - 1, 2**63 - 1), b.ints(2, 3), b.ints(2, 2))
    s = b.op("Pad", s, b.ints(0, 2, 0, 0, 0, 2, 0, 0))
    z = b.op("Relu", b.op("Add", z, s))
    z = b.op("Flatten", b.op("GlobalAveragePool", z))
    z = b.op("Gemm", z, b.rand(10, 8), b.rand(10), transB=1)
    return b.finish({"x": ["N", 3, 8, 8]}, [b.op("Softmax", z, axis=1)])


@model
def depthwise_grouped():
    """Depthwise with and without multiplier, grouped convolution, MobileNet's hard swish and squeeze-and-excite."""
    b = Builder(14)
    x = b.op("HardSwish", b.conv("x", 6, 6, (3, 3), group=6, pads=[1] * 4))
    x = b.conv(x, 12, 6, (3, 3), group=6, pads=[0, 1, 1, 0], strides=[2, 2])
    x = b.op("Clip", x, b.const(np.float32(0)), b.const(np.float32(6)))
    x = b.conv(x, 8, 12, (1, 1), group=2)
    s = b.op("GlobalAveragePool", x)
    s = b.op("Relu", b.conv(s, 4, 8, (1, 1)))
    s = b.op("HardSigmoid", b.conv(s, 8, 4, (1, 1)), alpha=1 / 6, beta=0.5)
    x = b.op("Mul", x, s)
    g = b.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    x = b.op("Mul", g, x)
    t = b.op("Clip", b.op("Add", x, b.const(np.float32(3))), b.const(np.float32(0)), b.const(np.float32(6)))
    x = b.op("Div", b.op("Mul", x, t), b.const(np.float32(6)))
    x = b.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return b.finish({"x": ["N", 6, 7, 7]}, [x])


@model
def pools():
    """Max and average pools with ceil_mode and every way to count padding."""
    b = Builder()
    k = dict(kernel_shape=[3, 3], strides=[2, 2])
    outs = [
        b.op("MaxPool", "x", ceil_mode=1, **k),
        b.op("MaxPool", "x", pads=[1, 1, 1, 1], ceil_mode=1, **k),
        b.op("AveragePool", "x", pads=[1, 1, 1, 1], count_include_pad=1, **k),
        b.op("AveragePool", "x", pads=[1, 1, 1, 1], **k),
        b.op("AveragePool", "x", ceil_mode=1, **k),
        b.op("AveragePool", "x", auto_pad="SAME_UPPER", **k),
        b.op("MaxPool", "x", auto_pad="SAME_LOWER", kernel_shape=[2, 2], strides=[2, 2]),
        b.op("GlobalMaxPool", "x"),
    ]
    return b.finish({"x": ["N", 2, 8, 7]}, outs)


@model
def keras_transposes():
    """As tf2onnx writes Keras models: NHWC input, each convolution between transposes, a shape subgraph, MatMul + Add."""
    b = Builder()

    def wrapped(x, o, i, **attributes):
        x = b.op("Transpose", x, perm=[0, 3, 1, 2])
        x = b.op("Conv", x, b.rand(o, i, 3, 3), kernel_shape=[3, 3], **attributes)
        return b.op("Transpose", x, perm=[0, 2, 3, 1])

    x = wrapped("x", 4, 3, pads=[0, 0, 1, 1], strides=[2, 2])
    x = b.op("Relu", b.op("Add", x, b.rand(4)))
    x = b.op("Mul", x, b.rand(1, 1, 1, 4))
    x = wrapped(x, 6, 4, pads=[1] * 4)
    x = b.op("Transpose", b.op("Relu", b.op("Add", x, b.rand(6))), perm=[0, 3, 1, 2])
    x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("Transpose", x, perm=[0, 2, 3, 1])
    shape = b.op("Cast", b.op("Shape", x), to=TensorProto.INT32)
    batch = b.op("Slice", shape, b.ints(0), b.ints(1), b.ints(0))
    batch = b.op("Squeeze", batch, b.ints(0))
    batch = b.op("Unsqueeze", b.op("Cast", batch, to=TensorProto.INT64), b.ints(0))
    x = b.op("Reshape", x, b.op("Concat", batch, b.ints(24), axis=0))
    x = b.op("Add", b.op("MatMul", x, b.rand(24, 5)), b.rand(5))
    return b.finish({"x": ["N", 8, 8, 3]}, [b.op("Softmax", x)])


@model
def keras_1d():
    """A 1-D Keras model: [N, L, C] input, expanded to 2-D around the convolution."""
    b = Builder()
    x = b.op("Unsqueeze", "x", b.ints(1))
    x = b.op("Transpose", x, perm=[0, 3, 1, 2])
    x = b.conv(x, 6, 3, (1, 5), strides=[1, 2])
    x = b.op("Transpose", x, perm=[0, 2, 3, 1])
    x = b.op("Relu", b.op("Squeeze", x, b.ints(1)))
    x = b.op("ReduceMean", x, axes=[1], keepdims=0)
    x = b.op("Add", b.op("MatMul", x, b.rand(6, 3)), b.rand(3))
    return b.finish({"x": ["N", 20, 3]}, [x])


@model
def conv1d():
    """A 1-D channels-first model: convolution, batch norm, pools, flatten with a computed shape."""
    b = Builder()
    x = b.op("Relu", b.batch_norm(b.conv("x", 6, 2, (5,), pads=[2, 2], strides=[2]), 6))
    x = b.op("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    x = b.conv(x, 6, 6, (3,), group=6, pads=[1, 1], dilations=[1])
    x = b.op("AveragePool", x, kernel_shape=[2], strides=[2])
    batch = b.op("Gather", b.op("Shape", x), b.const(np.int64(0)), axis=0)
    batch = b.op("Unsqueeze", batch, b.ints(0))
    x = b.op("Reshape", x, b.op("Concat", batch, b.ints(-1), axis=0))
    return b.finish({"x": ["N", 2, 24]}, [b.op("Gemm", x, b.rand(4, 18), b.rand(4), transB=1)])


@model
def arithmetic():
    """Constants of every broadcast shape, in both operand orders, and of two activations."""
    b = Builder()
    x = b.op("Add", "x", b.rand(3, 1, 1))
    x = b.op("Mul", b.rand(1, 3, 4, 5), x)
    x = b.op("Sub", x, b.rand(5))
    x = b.op("Sub", b.rand(4, 1), x)
    x = b.op("Div", x, b.positive(3, 1, 1))
    x = b.op("Neg", x)
    y = b.op("Sub", b.op("Tanh", x), b.op("GlobalAveragePool", x))
    y = b.op("Mul", b.op("ReduceMean", x, axes=[1], keepdims=1), y)
    y = b.op("Sum", y, x, b.rand(1))
    f = b.op("Mul", b.op("Flatten", y), b.rand(60))
    g = b.op("Add", f, b.op("Reshape", x, b.ints(0, 60)))
    h = b.op("LeakyRelu", b.op("Reshape", g, b.ints(-1, 3, 4, 5)), alpha=0.3)
    return b.finish({"x": ["N", 3, 4, 5]}, [b.op("Sigmoid", h), g])


@model
def concat_split():
    """Concat and Split on several axes, with constants, Slice with negative indices, Pad of a value."""
    b = Builder()
    p, q = b.op("Split", "x", b.ints(2, 4), axis=1, outputs=2)
    y = b.op("Concat", q, p, b.op("Relu", "x"), axis=1)
    z = b.op("Concat", y, y, axis=-1)
    z = b.op("Slice", z, b.ints(-3, 1), b.ints(2**31, -1), b.ints(2, 3), b.ints(1, 3))
    z = b.op("Pad", z, b.ints(0, 0, 1, 0, 0, 1, 0, 2), b.const(np.float32(0.25)))
    c = b.op("ConstantOfShape", b.ints(1, 2, 4, 4), value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.5]))
    return b.finish({"x": [1, 6, 4, 4]}, [b.op("Concat", z, c, axis=1)])


@model
def resize():
    """Nearest-neighbour resizes as PyTorch, TensorFlow and others describe them."""
    b = Builder()
    r = dict(mode="nearest")
    a = b.op("Resize", "x", "", b.floats(1, 1, 2, 2), coordinate_transformation_mode="asymmetric", nearest_mode="floor", **r)
    c = b.op("Resize", "x", "", "", b.ints(1, 2, 9, 8), coordinate_transformation_mode="half_pixel", **r)
    d = b.op(
        "Resize", "x", "", b.floats(1, 1, 3, 2), coordinate_transformation_mode="align_corners", nearest_mode="round_prefer_ceil", **r
    )
    e = b.op("Concat", b.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), "x", axis=1)
    return b.finish({"x": [1, 2, 3, 4]}, [a, c, d, e])


@model
def channel_shuffle():
    """ShuffleNet's shuffle: a real movement of data through rank 5."""
    b = Builder()
    x = b.conv("x", 8, 4, (1, 1))
    x = b.op("Reshape", x, b.ints(-1, 2, 4, 5, 6))
    x = b.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    x = b.op("Reshape", x, b.ints(-1, 8, 5, 6))
    return b.finish({"x": ["N", 4, 5, 6]}, [b.conv(x, 4, 8, (3, 3), group=4)])


@model
def detection_head():
    """Two heads flattened in NHWC order and joined; outputs of rank 3; log-softmax over the last axis."""
    b = Builder()
    heads = []
    for size, stride in (3, 1), (3, 2):
        h = b.conv("x", 6, 3, (size, size), pads=[1] * 4, strides=[stride] * 2)
        h = b.op("Transpose", h, perm=[0, 2, 3, 1])
        heads.append(b.op("Reshape", h, b.ints(0, -1, 3)))
    y = b.op("Concat", *heads, axis=1)
    return b.finish({"x": ["N", 3, 4, 6]}, [b.op("LogSoftmax", y, axis=-1), y])


@model
def awkward_layouts():
    """Layouts that cannot vanish: reshapes across axes, a transposed output, dense layers on the spatial axis."""
    b = Builder()
    x = b.conv("x", 6, 2, (3, 3), pads=[1] * 4)
    r = b.op("Reshape", x, b.ints(0, 4, 6, 6))
    y = b.op("Transpose", b.conv(r, 3, 4, (1, 1)), perm=[0, 2, 1, 3])
    m = b.op("MatMul", x, b.rand(6, 4))
    f = b.op("MatMul", b.op("Reshape", m, b.ints(0, 6, 16)), b.rand(16, 5))
    t = b.op("Softmax", b.op("Transpose", f, perm=[0, 2, 1]), axis=1)
    return b.finish({"x": ["N", 2, 4, 6]}, [y, t, b.op("Flatten", x), b.op("Softmax", x, axis=2)])


@model
def legacy_opset():
    """Operator set 9: attributes where later versions have inputs; float16 and float64 initializers."""
    b = Builder(9)
    w = b.op("Cast", b.const(b.rng.standard_normal((4, 3, 1, 1)).astype(np.float16)), to=TensorProto.FLOAT)
    x = b.op("Conv", "x", w, kernel_shape=[1, 1])
    x = b.op("Add", x, b.op("Cast", b.const(b.rng.standard_normal((4, 1, 1))), to=TensorProto.FLOAT))
    x = b.op("Clip", x, min=-0.5, max=1.0)
    x = b.op("Pad", x, pads=[0, 0, 1, 0, 0, 0, 0, 1], mode="constant", value=0.1)
    x = b.op("Slice", x, starts=[1, 0], ends=[-1, 5], axes=[1, 2])
    x = b.op("Upsample", x, b.floats(1, 1, 2, 2), mode="nearest")
    x = b.op("Squeeze", b.op("GlobalAveragePool", x), axes=[2, 3])
    x = b.op("Dropout", x)
    x = b.op("Unsqueeze", b.op("Softmax", x), axes=[2])
    return b.finish({"x": [1, 3, 4, 4]}, [b.op("Identity", x)])


@model
def qdq():
    """Fake quantisation: int8 weights per channel, uint8 activations."""
    b = Builder(13)
    s, z = b.const(np.float32(0.05)), b.const(np.uint8(120))
    x = b.op("DequantizeLinear", b.op("QuantizeLinear", "x", s, z), s, z)
    q = b.const(b.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8))
    w = b.op("DequantizeLinear", q, b.positive(4), b.const(np.zeros(4, np.int8)), axis=0)
    w = b.op("Mul", w, b.const(np.float32(0.01)))
    return b.finish({"x": ["N", 3, 5, 5]}, [b.op("Relu", b.op("Conv", x, w, b.rand(4)))])


def torch_models():
    """PyTorch modules by name, with an input shape each."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU6(), nn.AvgPool2d(2))
            self.head = nn.Linear(8 * 2 * 2, 5)

        def forward(self, x):
            x = self.features(x)
            return torch.log_softmax(self.head(x.view(x.size(0), -1)), dim=1)

    class Mobile(nn.Module):
        def __init__(self):
            super().__init__()
            self.expand, self.dw = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.squeeze, self.excite, self.project = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x):
            y = nn.functional.hardswish(self.expand(x))
            y = nn.functional.silu(self.dw(y))
            s = nn.functional.adaptive_avg_pool2d(y, 1)
            y = y * nn.functional.hardsigmoid(self.excite(torch.relu(self.squeeze(s))))
            return (x + self.project(y)).mean((2, 3))

    class Unet(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(i, 4, 3, padding=1) for i in (2, 4, 8))

        def forward(self, x):
            a = torch.relu(self.a(x))
            b = torch.tanh(self.b(nn.functional.max_pool2d(a, 2)))
            up = nn.functional.interpolate(b, scale_factor=2, mode="nearest")
            left, right = self.c(torch.cat([a, up], 1)).chunk(2, dim=1)
            return torch.sigmoid(nn.functional.pad(left, (1, 0, 0, 2))), right[:, :, ::2, 1:-1]

    class Audio(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv1d(2, 6, 5, stride=2), nn.BatchNorm1d(6), nn.LeakyReLU(0.1), nn.MaxPool1d(2),
                nn.Conv1d(6, 6, 3, padding=1, groups=3), nn.ReLU(),
                nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 4), nn.Softmax(1))

        def forward(self, x):
            return self.net(x)

    return {"torch_net": (Net, [3, 16, 16]), "torch_mobile": (Mobile, [4, 6, 6]),
            "torch_unet": (Unet, [2, 6, 8]), "torch_audio": (Audio, [2, 30])}


def export_torch():
    import torch

    for name, (module, shape) in torch_models().items():
        torch.manual_seed(3)
        net = module().eval()
        for layer in net.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 1.5)
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(net, (torch.randn(2, *shape),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
        proto = program.model_proto
        for node in proto.graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        del proto.metadata_props[:], proto.graph.metadata_props[:]
        del proto.graph.value_info[:]
        MODELS[name] = lambda proto=proto: proto


def session(proto):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(proto.SerializeToString(), options)


def feeds(run, batch, seed):
    rng = np.random.default_rng(seed)
    shape = lambda i: [batch if isinstance(d, str) else d for d in i.shape]
    return {i.name: rng.standard_normal(shape(i)).astype(np.float32) for i in run.get_inputs()}


def make():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    try:
        export_torch()
    except ImportError as e:
        print(f"torch_* models are left as they are: {e}")
    for name, build in sorted(MODELS.items()):
        proto = build()
        onnx.checker.check_model(proto, full_check=True)
        run = session(proto)
        inputs = feeds(run, 1, 11)
        outputs = run.run(None, inputs)
        proto_bytes = proto.SerializeToString()
        (GOLDEN / f"{name}.onnx").write_bytes(proto_bytes)
        data = b"".join(np.ascontiguousarray(v, "<f4").tobytes() for v in [*inputs.values(), *outputs])
        (GOLDEN / f"{name}.bin").write_bytes(data)
        print(f"{name}: {len(proto_bytes)} + {len(data)} bytes")


def check():
    worst = 0.0
    models = [Path(p) for p in sys.argv[2:]] or sorted(GOLDEN.glob("*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        for path in models:
            out = Path(folder) / path.name
            command = ["cargo", "run", "-q", "-p", "dtmm-onnx", "--example", "reexport", str(path.resolve()), str(out)]
            subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            ours = onnx.load(out)
            onnx.checker.check_model(ours, full_check=True)
            a, b = session(onnx.load(path)), session(ours)
            for batch in 1, 3:
                inputs = feeds(a, batch, 5)
                mine = {n: v[:1] if b_in.shape[0] == 1 else v for (n, v), b_in in zip(inputs.items(), b.get_inputs())}
                for x, y in zip(a.run(None, inputs), b.run(None, mine)):
                    assert x.shape == y.shape, (path.name, x.shape, y.shape)
                    worst = max(worst, float(np.max(np.abs(x - y) / np.maximum(1, np.abs(x)))))
                    assert worst <= 1e-5, (path.name, worst)
            print(f"{path.name}: ok")
    print(f"largest difference {worst:.1e}")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1] if len(sys.argv) > 1 else "make"]()
