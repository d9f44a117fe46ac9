#!/usr/bin/env python3
"""Golden vectors of the TFLite reference kernels, for the bit-exactness tests of import, packing and runtime.

    python3 -m venv venv && venv/bin/pip install ai-edge-litert==2.3.0 numpy==2.4.6
    venv/bin/python scripts/golden_tflite.py                  # writes crates/tflite/testdata/golden/
    venv/bin/python scripts/golden_tflite.py float            # only that file: int8, float or shared
    venv/bin/python scripts/golden_tflite.py --tensors M.tflite SEED   # every intermediate tensor, for debugging

"refused.golden" holds models that must not import. The small models are written here operator by operator, so that the tests need no file from elsewhere; for the models in
../shared/models only inputs and outputs are kept. Everything is seeded: the same versions give the same bytes.

Each golden file holds cases one after another (little-endian): "DTMMGLD1"; u32 length and the case's name; u32 length and
the model's bytes (empty: see the path); u32 length and the model's path under ../shared/models; u32 length and the
name of the tensor whose value is the output (empty: the model's output); f32 low, f32 high; u32 input elements; u32 output bytes; u32 samples; for each sample: u8 kind (0: u64 seed of splitmix64 bytes, 1: the bytes themselves, 2: u8 start of a rising byte ramp), then the
output bytes. A sample is one byte per input element: the int8 or uint8 value itself, or for float inputs b in
low + (high - low) * b / 255.
"""

import os
import struct
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# More samples find differences that are rare, as wrong rounding is: DTMM_GOLDEN_SEEDS=200 DTMM_GOLDEN_DIR=elsewhere.
OUT = os.environ.get("DTMM_GOLDEN_DIR", os.path.join(ROOT, "crates", "tflite", "testdata", "golden"))
SEEDS = int(os.environ.get("DTMM_GOLDEN_SEEDS", "3"))
MODELS = os.path.join(ROOT, "..", "shared", "models")
TYPES = {
    "i8": s.TensorType.INT8,
    "u8": s.TensorType.UINT8,
    "i16": s.TensorType.INT16,
    "i32": s.TensorType.INT32,
    "f16": s.TensorType.FLOAT16,
    "f32": s.TensorType.FLOAT32,
}
NUMPY = {"i8": np.int8, "u8": np.uint8, "f16": np.float16, "f32": np.float32, "i32": np.int32}
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3


# --- inputs -----------------------------------------------------------------------------------------------------------


def splitmix_bytes(seed, count):
    """The byte stream that the Rust side generates as well."""
    mask, out, state = (1 << 64) - 1, bytearray(), seed
    while len(out) < count:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out += struct.pack("<Q", z ^ (z >> 31))
    return bytes(out[:count])


def sample_bytes(sample, count):
    kind, value = sample
    if kind == 0:
        return splitmix_bytes(value, count)
    if kind == 1:
        assert len(value) == count, (len(value), count)
        return value
    return bytes((value + i) % 256 for i in range(count))


def as_tensor(raw, detail, low, high):
    raw = np.frombuffer(raw, np.uint8)
    if detail["dtype"] == np.float32:
        values = (low + (high - low) * raw.astype(np.float64) / 255.0).astype(np.float32)
    else:
        values = raw.view(detail["dtype"])
    return values.reshape(detail["shape"])


# --- running the reference kernels ------------------------------------------------------------------------------------


def interpreter(model, keep=False):
    it = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=keep,
    )
    it.allocate_tensors()
    return it


def run(model, samples, low, high, tap):
    it = interpreter(model, keep=bool(tap))
    (inp,), (out,) = it.get_input_details(), it.get_output_details()
    if tap:
        (out,) = [t for t in it.get_tensor_details() if t["name"] == tap]
    count, outputs = int(np.prod(inp["shape"])), []
    for sample in samples:
        it.set_tensor(inp["index"], as_tensor(sample_bytes(sample, count), inp, low, high))
        it.invoke()
        outputs.append(it.get_tensor(out["index"]).tobytes())
    return count, outputs


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def record(name, model, samples, path="", tap="", low=0.0, high=0.0, embedded=None):
    """One case of a golden file; `embedded` is kept in place of the model that runs."""
    low, high = float(np.float32(low)), float(np.float32(high))
    count, outputs = run(model, samples, low, high, tap)
    out = b"DTMMGLD1" + text(name) + text(b"" if path else embedded or model) + text(path) + text(tap)
    out += struct.pack("<ffIII", low, high, count, len(outputs[0]), len(samples))
    for (kind, value), output in zip(samples, outputs):
        payload = {0: lambda: struct.pack("<Q", value), 1: lambda: value, 2: lambda: bytes([value])}[kind]()
        out += bytes([kind]) + payload + output
    # A case whose outputs are all alike or nearly constant proves little.
    print(f"{name:32s} {len(out):6d} B, {len(set(outputs))}/{len(samples)} distinct outputs, {len(set(b''.join(outputs)))} byte values")
    return out


# --- writing small models ---------------------------------------------------------------------------------------------


class Net:
    """Builds a model node by node; every method gives a tensor index."""

    def __init__(self, shape, kind="i8", scale=0.05, zero=-3, seed=1):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.buffers, self.ops, self.codes = [], [b""], [], []
        # Small weights and a small output scale: few bits are rounded away, so the way of rounding shows.
        self.fine = False
        self.custom = None
        self.x = self.tensor("x", shape, kind, scale, zero)

    def tensor(self, name, shape, kind, scale=None, zero=0, data=None, axis=0):
        t = s.TensorT()
        t.name, t.shape, t.type = name, [int(d) for d in shape], TYPES[kind]
        if scale is not None:
            q = s.QuantizationParametersT()
            q.scale = [float(v) for v in np.atleast_1d(scale)]
            q.zeroPoint = [int(v) for v in np.broadcast_to(zero, len(q.scale))]
            q.quantizedDimension = axis
            t.quantization = q
        t.buffer = 0
        if data is not None:
            t.buffer = len(self.buffers)
            self.buffers.append(np.ascontiguousarray(data, NUMPY[kind]).tobytes())
        t.kind, t.scale_, t.zero_ = kind, scale, zero
        self.tensors.append(t)
        return len(self.tensors) - 1

    def ints(self, values):
        values = np.array(values, np.int32)
        return self.tensor(f"const{len(self.tensors)}", values.shape, "i32", data=values)

    def shape(self, t):
        return list(self.tensors[t].shape)

    def op(self, name, inputs, shape, options=None, kind=None, scale=None, zero=None):
        """A node whose output has the first input's type and quantisation unless told otherwise."""
        like = self.tensors[inputs[0] if name not in ("SPLIT",) else inputs[1]]
        kind = kind or like.kind
        if kind != "f32":
            scale = like.scale_ if scale is None else scale
            zero = like.zero_ if zero is None else zero
        else:
            scale = zero = None
        shapes = shape if isinstance(shape[0], (list, tuple)) else [shape]
        outs = [self.tensor(f"{name.lower()}{len(self.ops)}_{i}", sh, kind, scale, zero or 0) for i, sh in enumerate(shapes)]
        code = getattr(s.BuiltinOperator, name)
        if code not in self.codes:
            self.codes.append(code)
        o = s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = self.codes.index(code), [i for i in inputs if i >= 0], outs
        if options is not None:
            o.builtinOptions = options
            o.builtinOptionsType = getattr(s.BuiltinOptions, type(options).__name__[:-1])
        self.ops.append(o)
        return outs if isinstance(shape[0], (list, tuple)) else outs[0]

    def finish(self, y):
        m, g = s.ModelT(), s.SubGraphT()
        m.version, m.description = 3, "dtmm golden"
        g.tensors, g.operators, g.inputs, g.outputs, g.name = self.tensors, self.ops, [self.x], [y], "main"
        m.subgraphs, m.operatorCodes, m.buffers = [g], [], []
        for code in self.codes:
            c = s.OperatorCodeT()
            c.builtinCode, c.deprecatedBuiltinCode, c.version = code, min(code, 127), 1
            c.customCode = self.custom if code == s.BuiltinOperator.CUSTOM else None
            m.operatorCodes.append(c)
        for data in self.buffers:
            b = s.BufferT()
            b.data = np.frombuffer(data, np.uint8) if data else None
            m.buffers.append(b)
        fb = flatbuffers.Builder(1024)
        fb.Finish(m.Pack(fb), b"TFL3")
        return bytes(fb.Output())

    # weights

    def weights(self, shape, axis, x, per_channel=True, bias=True):
        """Random filter and bias for input x; gives (filter, bias, a fitting output scale)."""
        kind = self.tensors[x].kind
        channels = shape[axis]
        reach = int(np.prod(shape)) // channels
        if kind == "f32":
            w = self.rng.normal(0, 1 / np.sqrt(reach), shape)
            f = self.tensor("w", shape, "f32", data=w)
            b = self.tensor("b", [channels], "f32", data=self.rng.normal(0, 0.1, channels)) if bias else -1
            return f, b, None
        scale = self.rng.uniform(0.002, 0.02, channels if per_channel else 1).astype(np.float32)
        w = self.rng.integers(-3, 4, shape) if self.fine else self.rng.integers(-127, 128, shape)
        f = self.tensor("w", shape, "i8", scale, 0, w, axis)
        x_scale = self.tensors[x].scale_
        b = -1
        if bias:
            values = self.rng.integers(-30, 30, channels) if self.fine else self.rng.integers(-4000, 4000, channels)
            b = self.tensor("b", [channels], "i32", np.float32(x_scale) * scale, 0, values)
        return f, b, float(x_scale * scale.mean() * np.sqrt(reach) * (2.3 if self.fine else 120))

    def quant(self, scale, out):
        """The output's quantisation: what the caller asked for, or a fitting scale and a zero point of 5."""
        if scale is None:
            return {}
        return {"scale": out.get("scale", scale), "zero": out.get("zero", 5)}

    # operators

    def conv(self, x, out_c, k, stride=(1, 1), padding=SAME, dilation=(1, 1), act=NONE, per_channel=True, groups=1, **out):
        n, h, w, c = self.shape(x)
        f, b, scale = self.weights([out_c, k[0], k[1], c // groups], 0, x, per_channel)
        o = s.Conv2DOptionsT()
        o.padding, o.strideH, o.strideW, o.dilationHFactor, o.dilationWFactor = padding, *stride, *dilation
        o.fusedActivationFunction = act
        shape = [n, *slide((h, w), k, stride, padding, dilation), out_c]
        return self.op("CONV_2D", [x, f, b], shape, o, **self.quant(scale, out))

    def depthwise(self, x, mult, k, stride=(1, 1), padding=SAME, dilation=(1, 1), act=NONE, per_channel=True, **out):
        n, h, w, c = self.shape(x)
        f, b, scale = self.weights([1, k[0], k[1], c * mult], 3, x, per_channel)
        o = s.DepthwiseConv2DOptionsT()
        o.padding, o.strideH, o.strideW, o.dilationHFactor, o.dilationWFactor = padding, *stride, *dilation
        o.fusedActivationFunction, o.depthMultiplier = act, mult
        shape = [n, *slide((h, w), k, stride, padding, dilation), c * mult]
        return self.op("DEPTHWISE_CONV_2D", [x, f, b], shape, o, **self.quant(scale, out))

    def fc(self, x, out_c, in_c, act=NONE, per_channel=False, bias=True, keep=False, **out):
        f, b, scale = self.weights([out_c, in_c], 0, x, per_channel, bias)
        o = s.FullyConnectedOptionsT()
        o.fusedActivationFunction, o.keepNumDims = act, keep
        shape = self.shape(x)[:-1] + [out_c] if keep else [int(np.prod(self.shape(x))) // in_c, out_c]
        return self.op("FULLY_CONNECTED", [x, f, b], shape, o, **self.quant(scale, out))

    def binary(self, name, a, b, act=NONE, **out):
        o = {"ADD": s.AddOptionsT, "SUB": s.SubOptionsT, "MUL": s.MulOptionsT}[name]()
        o.fusedActivationFunction = act
        shape = list(np.broadcast_shapes(self.shape(a), self.shape(b)))
        return self.op(name, [a, b], shape, o, **out)

    def const(self, shape, kind="i8", scale=0.02, zero=4):
        data = self.rng.integers(-128, 128, shape) if kind == "i8" else self.rng.normal(0, 1, shape)
        return self.tensor(f"c{len(self.tensors)}", shape, kind, scale if kind == "i8" else None, zero, data)

    def pool(self, name, x, k, stride, padding, act=NONE):
        n, h, w, c = self.shape(x)
        o = s.Pool2DOptionsT()
        o.filterHeight, o.filterWidth, o.strideH, o.strideW, o.padding = *k, *stride, padding
        o.fusedActivationFunction = act
        return self.op(name, [x], [n, *slide((h, w), k, stride, padding, (1, 1)), c], o)

    def reduce(self, name, x, axes, keep, **out):
        o = s.ReducerOptionsT()
        o.keepDims = keep
        axes_ = [a % len(self.shape(x)) for a in axes]
        shape = [1 if i in axes_ else d for i, d in enumerate(self.shape(x)) if keep or i not in axes_]
        return self.op(name, [x, self.ints(axes)], shape, o, **out)

    def reshape(self, x, shape):
        o = s.ReshapeOptionsT()
        o.newShape = shape
        return self.op("RESHAPE", [x, self.ints(shape)], shape, o)

    def unary(self, name, x, options=None, **out):
        return self.op(name, [x], self.shape(x), options, **out)

    def softmax(self, x, beta=1.0):
        o = s.SoftmaxOptionsT()
        o.beta = beta
        return self.unary("SOFTMAX", x, o, scale=1 / 256, zero=-128)

    def requant(self, x, kind="i8", **out):
        return self.unary("QUANTIZE", x, s.QuantizeOptionsT(), kind=kind, **out)

    def concat(self, parts, axis):
        o = s.ConcatenationOptionsT()
        o.axis = axis
        shape = self.shape(parts[0])
        shape[axis] = sum(self.shape(p)[axis] for p in parts)
        return self.op("CONCATENATION", parts, shape, o)

    def pad(self, x, amounts, value=None):
        shape = [d + a + b for d, (a, b) in zip(self.shape(x), amounts)]
        if value is None:
            return self.op("PAD", [x, self.ints(amounts)], shape, s.PadOptionsT())
        like = self.tensors[x]
        v = self.tensor("v", [1] if like.kind == "i8" else [1], like.kind, like.scale_, like.zero_ or 0, [value])
        return self.op("PADV2", [x, self.ints(amounts), v], shape, s.PadV2OptionsT())

    def strided_slice(self, x, begin, end, stride, shrink=0):
        o = s.StridedSliceOptionsT()
        o.shrinkAxisMask = shrink
        dims = [-(-(e - b) // st) for b, e, st in zip(begin, end, stride)]
        shape = [d for i, d in enumerate(dims) if not shrink >> i & 1]
        return self.op("STRIDED_SLICE", [x, self.ints(begin), self.ints(end), self.ints(stride)], shape, o)

    def resize(self, x, size, align=False, half=False):
        n, _, _, c = self.shape(x)
        o = s.ResizeNearestNeighborOptionsT()
        o.alignCorners, o.halfPixelCenters = align, half
        return self.op("RESIZE_NEAREST_NEIGHBOR", [x, self.ints(size)], [n, *size, c], o)

    def spread(self, x, blocks, pads, crops, layer):
        """`layer` between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: how converters write dilation."""
        def sizes(shape, change, scale):
            inner = [scale(d + c, b) for d, c, b in zip(shape[1:], change, blocks)]
            return inner + shape[1 + len(blocks):]
        shape, count = self.shape(x), int(np.prod(blocks))
        to = [shape[0] * count] + sizes(shape, [a + b for a, b in pads], lambda d, b: d // b)
        y = layer(self.op("SPACE_TO_BATCH_ND", [x, self.ints(blocks), self.ints(pads)], to, s.SpaceToBatchNDOptionsT()))
        shape = self.shape(y)
        back = [d * b - c - e for d, b, (c, e) in zip(shape[1:], blocks, crops)]
        to = [shape[0] // count] + back + shape[1 + len(blocks):]
        return self.op("BATCH_TO_SPACE_ND", [y, self.ints(blocks), self.ints(crops)], to, s.BatchToSpaceNDOptionsT())

    def transpose(self, x, perm):
        return self.op("TRANSPOSE", [x, self.ints(perm)], [self.shape(x)[p] for p in perm], s.TransposeOptionsT())


def slide(size, k, stride, padding, dilation):
    reach = [(kk - 1) * d + 1 for kk, d in zip(k, dilation)]
    if padding == SAME:
        return [-(-n // st) for n, st in zip(size, stride)]
    return [(n - r) // st + 1 for n, r, st in zip(size, reach, stride)]


# --- the cases --------------------------------------------------------------------------------------------------------


def cases(kind):
    """(name, shape, input quantisation, function from (net, x) to the output)."""
    image = [1, 7, 5, 3]
    yield "conv_3x3_same", image, {}, lambda n, x: n.conv(x, 4, (3, 3))
    yield "conv_3x3_valid_s2", [1, 8, 9, 4], {}, lambda n, x: n.conv(x, 5, (3, 3), (2, 2), VALID, act=RELU)
    yield "conv_3x3_same_s2_even", [1, 8, 6, 4], {}, lambda n, x: n.conv(x, 5, (3, 3), (2, 2), act=RELU6)
    yield "conv_1x1", [1, 4, 3, 17], {}, lambda n, x: n.conv(x, 9, (1, 1))
    yield "conv_1x1_s2", [1, 5, 6, 8], {}, lambda n, x: n.conv(x, 3, (1, 1), (2, 2))
    yield "conv_5x3_s2x1", [1, 9, 6, 2], {}, lambda n, x: n.conv(x, 3, (5, 3), (2, 1), act=RELU_N1_TO_1)
    yield "conv_dilated_same", [1, 9, 8, 3], {}, lambda n, x: n.conv(x, 4, (3, 3), dilation=(2, 3))
    yield "conv_dilated_valid", [1, 9, 8, 3], {}, lambda n, x: n.conv(x, 4, (3, 2), padding=VALID, dilation=(3, 1))
    yield "conv_10x4_s2", [1, 25, 10, 1], {"zero": 83}, lambda n, x: n.conv(x, 8, (10, 4), (2, 2), act=RELU, zero=-128)
    yield "conv_zero_low", image, {"zero": -128}, lambda n, x: n.conv(x, 4, (3, 3), zero=127)
    yield "conv_zero_high", image, {"zero": 127}, lambda n, x: n.conv(x, 4, (3, 3), zero=-128, act=RELU)
    yield "conv_per_tensor", image, {}, lambda n, x: n.conv(x, 4, (3, 3), per_channel=False)
    yield "conv_saturating", image, {}, lambda n, x: n.conv(x, 4, (3, 3), scale=0.01)
    yield "conv_kernel_larger_than_image", [1, 3, 2, 4], {}, lambda n, x: n.conv(x, 3, (7, 5))
    yield "conv_groups", [1, 5, 4, 6], {}, lambda n, x: n.conv(x, 9, (3, 3), groups=3)
    yield "conv_1d", [1, 1, 19, 6], {}, lambda n, x: n.conv(x, 5, (1, 4), (1, 2))
    yield "depthwise_3x3", [1, 6, 7, 5], {}, lambda n, x: n.depthwise(x, 1, (3, 3), act=RELU)
    yield "depthwise_s2", [1, 8, 7, 6], {"zero": 127}, lambda n, x: n.depthwise(x, 1, (3, 3), (2, 2), zero=-128)
    yield "depthwise_mult2_valid", [1, 6, 5, 3], {}, lambda n, x: n.depthwise(x, 2, (3, 2), padding=VALID)
    yield "depthwise_c1_mult8", [1, 9, 5, 1], {}, lambda n, x: n.depthwise(x, 8, (5, 3), (2, 2), act=RELU6)
    yield "depthwise_dilated", [1, 9, 8, 4], {}, lambda n, x: n.depthwise(x, 1, (3, 3), dilation=(2, 2))
    yield "depthwise_5x1", [1, 12, 1, 7], {}, lambda n, x: n.depthwise(x, 1, (5, 1), padding=VALID, per_channel=False)
    yield "fc", [1, 37], {}, lambda n, x: n.fc(x, 11, 37)
    yield "fc_relu_no_bias", [1, 16], {"zero": 127}, lambda n, x: n.fc(x, 5, 16, act=RELU, bias=False, zero=-128)
    yield "fc_flattens", [1, 3, 2, 5], {}, lambda n, x: n.fc(x, 4, 30)
    yield "fc_rows", [1, 4, 6], {}, lambda n, x: n.fc(x, 3, 6, keep=True)
    if kind == "i8":
        yield "fc_per_channel", [1, 21], {}, lambda n, x: n.fc(x, 8, 21, per_channel=True)
    if kind == "i8":
        yield from fine_cases()
    yield from elementwise_cases(kind)
    yield from pool_cases()
    yield from layout_cases(kind)
    yield from activation_cases(kind)


def fine_cases():
    def fine(build):
        def with_fine(n, x):
            n.fine = True
            return build(n, x)

        return with_fine

    yield "fine_conv", [1, 9, 8, 1], {}, fine(lambda n, x: n.conv(x, 4, (2, 2)))
    yield "fine_conv_1x1", [1, 9, 8, 4], {}, fine(lambda n, x: n.conv(x, 4, (1, 1), per_channel=False))
    yield "fine_depthwise", [1, 9, 8, 4], {}, fine(lambda n, x: n.depthwise(x, 1, (2, 2)))
    yield "fine_fc", [1, 4], {}, fine(lambda n, x: n.fc(x, 64, 4))
    yield "fine_fc_per_channel", [1, 4], {}, fine(lambda n, x: n.fc(x, 64, 4, per_channel=True))
    yield "fine_mean", [1, 3, 1, 64], {}, lambda n, x: n.reduce("MEAN", x, [1], True, scale=0.03, zero=7)
    yield "fine_mean_hw", [1, 3, 2, 64], {}, lambda n, x: n.reduce("MEAN", x, [1, 2], True, scale=0.03, zero=7)
    yield "fine_average", [1, 5, 5, 12], {}, lambda n, x: n.pool("AVERAGE_POOL_2D", x, (2, 3), (1, 1), SAME)


def elementwise_cases(kind):
    image = [1, 5, 4, 6]
    blur = lambda n, x: n.pool("AVERAGE_POOL_2D", x, (5, 4), (1, 1), SAME)
    other = (lambda n, x: n.requant(blur(n, x), scale=0.13, zero=40)) if kind == "i8" else (lambda n, x: n.unary("TANH", blur(n, x)))
    out = {"scale": 0.15, "zero": -20} if kind == "i8" else {}
    for name in ["ADD", "SUB", "MUL"]:
        low = name.lower()
        o = {"scale": 0.6, "zero": -20} if kind == "i8" and name == "MUL" else out
        yield f"{low}", image, {}, lambda n, x, name=name, o=o: n.binary(name, x, other(n, x), **o)
        yield f"{low}_relu", image, {"zero": 60}, lambda n, x, name=name, o=o: n.binary(name, other(n, x), x, RELU, **o)
        yield f"{low}_const_channels", image, {}, lambda n, x, name=name, o=out: n.binary(name, x, n.const([6], kind), **o)
        yield f"{low}_const_first", image, {}, lambda n, x, name=name, o=out: n.binary(name, n.const([1, 1, 1, 6], kind), x, **o)
        yield f"{low}_scalar", image, {}, lambda n, x, name=name, o=out: n.binary(name, x, n.const([], kind), RELU6, **o)
        yield f"{low}_const_full", image, {}, lambda n, x, name=name, o=out: n.binary(name, x, n.const(image, kind), **o)
        yield f"{low}_broadcast", image, {}, lambda n, x, name=name, o=o: n.binary(name, x, n.reduce("MEAN", x, [1, 2], True), **o)
    if kind == "i8":
        yield "add_extreme_scales", image, {"scale": 1e-4}, lambda n, x: n.binary("ADD", x, n.const(image, scale=3.0), scale=2.0, zero=127)
        yield "mul_extreme_zero", image, {"zero": -128}, lambda n, x: n.binary("MUL", x, n.const([6], zero=127), scale=0.2, zero=127)
    for axis in [1, 2, 3]:
        yield f"concat_axis{axis}", image, {}, lambda n, x, axis=axis: n.concat(
            [x, n.pool("MAX_POOL_2D", x, (3, 3), (1, 1), SAME), n.pad(x, [[1 if a == axis else 0, 0] for a in range(4)])], axis)


def pool_cases():
    image = [1, 7, 6, 5]
    for name, op in [("max_pool", "MAX_POOL_2D"), ("average_pool", "AVERAGE_POOL_2D")]:
        yield f"{name}_2x2", image, {}, lambda n, x, op=op: n.pool(op, x, (2, 2), (2, 2), VALID)
        yield f"{name}_3x3_same", image, {}, lambda n, x, op=op: n.pool(op, x, (3, 3), (2, 2), SAME)
        yield f"{name}_relu6", image, {"zero": -90}, lambda n, x, op=op: n.pool(op, x, (3, 2), (1, 2), SAME, RELU6)
        yield f"{name}_global", image, {"zero": 127}, lambda n, x, op=op: n.pool(op, x, (7, 6), (7, 6), VALID)
    out = {"scale": 0.03, "zero": 7}
    for label, axes, keep in [("hw", [1, 2], True), ("hw_drop", [1, 2], False), ("h", [1], True), ("w", [2], False),
                              ("c", [3], True), ("hwc", [1, 2, -1], True)]:
        yield f"mean_{label}", image, {}, lambda n, x, axes=axes, keep=keep: n.reduce("MEAN", x, axes, keep, **out)
    yield "mean_hw_same_scale", image, {"zero": 0}, lambda n, x: n.reduce("MEAN", x, [1, 2], True)
    yield "mean_rank3", [1, 9, 4], {}, lambda n, x: n.reduce("MEAN", x, [1], False, **out)
    yield "reduce_max", image, {}, lambda n, x: n.reduce("REDUCE_MAX", x, [1, 2], False)


def reshape_by_shape_of(n, x):
    """What converters write for a batch size that is not fixed: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    o = s.ShapeOptionsT()
    o.outType = s.TensorType.INT32
    dims = n.op("SHAPE", [x], [4], o, kind="i32", scale=0, zero=0)
    for t in n.ops[-1].outputs:
        n.tensors[t].quantization = None
    o = s.StridedSliceOptionsT()
    o.shrinkAxisMask = 1
    batch = n.op("STRIDED_SLICE", [dims, n.ints([0]), n.ints([1]), n.ints([1])], [()], o)[0]
    o = s.PackOptionsT()
    o.valuesCount = 2
    shape = n.op("PACK", [batch, n.ints(60)], [2], o)
    for t in (batch, shape):
        n.tensors[t].quantization = None
    flat = n.op("RESHAPE", [x, shape], [1, 60], s.ReshapeOptionsT())
    return n.fc(flat, 4, 60)


def layout_cases(kind):
    image = [1, 5, 4, 6]
    yield "reshape_fc", [1, 2, 3, 4], {}, lambda n, x: n.fc(n.reshape(x, [1, 24]), 5, 24)
    yield "transpose_nchw_flatten_fc", [1, 3, 4, 5], {}, lambda n, x: n.fc(n.reshape(n.transpose(x, [0, 3, 1, 2]), [1, 60]), 5, 60)
    yield "transpose_hw", image, {}, lambda n, x: n.transpose(x, [0, 2, 1, 3])
    yield "transpose_rank3", [1, 5, 6], {}, lambda n, x: n.transpose(x, [0, 2, 1])
    yield "channel_shuffle", [1, 3, 2, 6], {}, lambda n, x: n.reshape(
        n.transpose(n.reshape(x, [1, 3, 2, 2, 3]), [0, 1, 2, 4, 3]), [1, 3, 2, 6])
    yield "slice", image, {}, lambda n, x: n.op("SLICE", [x, n.ints([0, 1, 0, 2]), n.ints([1, 3, -1, 3])], [1, 3, 4, 3], s.SliceOptionsT())
    yield "strided_slice", image, {}, lambda n, x: n.strided_slice(x, [0, 0, 1, 1], [1, 5, 4, 6], [1, 2, 2, 1])
    yield "strided_slice_shrink", image, {}, lambda n, x: n.strided_slice(x, [0, 4, 0, 0], [1, 5, 4, 6], [1, 1, 1, 2], 2)
    yield "option_a_shortcut", image, {}, lambda n, x: n.binary(
        "ADD", n.pad(n.strided_slice(x, [0, 0, 0, 0], [1, 5, 4, 6], [1, 2, 2, 1]), [[0, 0], [0, 0], [0, 0], [2, 3]]),
        n.conv(x, 11, (3, 3), (2, 2)), RELU, **({"scale": 0.3, "zero": -128} if kind == "i8" else {}))
    yield "pad", image, {"zero": 100}, lambda n, x: n.pad(x, [[0, 0], [1, 2], [0, 3], [2, 1]])
    yield "pad_value", image, {}, lambda n, x: n.pad(x, [[0, 0], [2, 0], [1, 1], [0, 0]], -77)
    yield "pad_conv_valid", image, {"zero": 9}, lambda n, x: n.conv(n.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 4, (3, 3), (2, 2), VALID)
    yield "reshape_by_shape_of", [1, 3, 4, 5], {}, reshape_by_shape_of
    yield "resize_x2", [1, 3, 4, 2], {}, lambda n, x: n.resize(x, [6, 8])
    yield "resize_odd", [1, 5, 4, 2], {}, lambda n, x: n.resize(x, [7, 3])
    yield "resize_align", [1, 3, 4, 2], {}, lambda n, x: n.resize(x, [7, 9], align=True)
    yield "resize_half", [1, 5, 4, 2], {}, lambda n, x: n.resize(x, [8, 7], half=True)

    def split(n, x):
        o = s.SplitOptionsT()
        o.numSplits = 2
        a, b = n.op("SPLIT", [n.ints(3), x], [[1, 5, 4, 3]] * 2, o)
        return n.concat([b, a], 3)

    def squeeze_1d(n, x):
        o = s.SqueezeOptionsT()
        o.squeezeDims = [1]
        if kind == "i8":
            wide = n.op("EXPAND_DIMS", [x, n.ints(1)], [1, 1, 15, 4], s.ExpandDimsOptionsT())
        else:  # the reference kernel compares uninitialised scales of float tensors
            wide = n.reshape(x, [1, 1, 15, 4])
        return n.op("SQUEEZE", [n.conv(wide, 3, (1, 3))], [1, 15, 3], o)

    def upsample(n, x):  # as Keras repeats rows, then columns
        x = n.reshape(x, [1, 3, 1, 4, 2])
        x = n.reshape(n.op("TILE", [x, n.ints([1, 1, 3, 1, 1])], [1, 3, 3, 4, 2]), [1, 9, 4, 1, 2])
        return n.reshape(n.op("TILE", [x, n.ints([1, 1, 1, 2, 1])], [1, 9, 4, 2, 2]), [1, 9, 8, 2])

    def spread_1d(n, x):
        def layer(t):
            b, w, c = n.shape(t)
            wide = n.op("EXPAND_DIMS", [t, n.ints(1)], [b, 1, w, c], s.ExpandDimsOptionsT())
            y = n.conv(wide, 3, (1, 5), padding=VALID)
            return n.reshape(y, [b, n.shape(y)[2], 3])
        return n.spread(x, [2], [[8, 1]], [[0, 1]], layer)

    yield "spread_conv", [1, 8, 6, 4], {}, lambda n, x: n.spread(
        x, [2, 3], [[2, 2], [3, 3]], [[0, 0], [0, 0]], lambda t: n.conv(t, 5, (3, 3), padding=VALID, act=RELU))
    yield "spread_depthwise_crops", [1, 7, 8, 4], {"zero": 20}, lambda n, x: n.spread(
        x, [2, 2], [[2, 3], [2, 4]], [[0, 1], [0, 2]], lambda t: n.depthwise(t, 1, (3, 3), padding=VALID))
    yield "tile_upsample", [1, 3, 4, 2], {}, upsample
    if kind == "i8":  # as above: no EXPAND_DIMS of float tensors
        yield "spread_1d", [1, 15, 4], {}, spread_1d
    yield "split_concat", image, {}, split
    yield "conv_1d_expand_squeeze", [1, 15, 4], {}, squeeze_1d
    if kind == "i8":
        yield "quantize_rescale", [1, 16, 16, 1], {"zero": -11}, lambda n, x: n.requant(x, scale=0.08, zero=30)
        yield "quantize_finer", [1, 16, 16, 1], {"zero": 20}, lambda n, x: n.requant(x, scale=0.013, zero=-128)


def activation_cases(kind):
    ramp, vector = [1, 16, 16, 1], [1, 13]
    out = {"scale": 0.04, "zero": -100} if kind == "i8" else {}
    yield "relu", ramp, {}, lambda n, x: n.unary("RELU", x, **out)
    yield "relu6", ramp, {}, lambda n, x: n.unary("RELU6", x, **out)
    yield "relu_n1_to_1", ramp, {"scale": 0.02}, lambda n, x: n.unary("RELU_N1_TO_1", x)

    def leaky(n, x, alpha):
        o = s.LeakyReluOptionsT()
        o.alpha = alpha
        return n.unary("LEAKY_RELU", x, o, **out)

    yield "leaky_relu", ramp, {}, lambda n, x: leaky(n, x, 0.1)
    yield "leaky_relu_negative", ramp, {"zero": 90}, lambda n, x: leaky(n, x, -0.4)
    for i, (scale, zero) in enumerate([(0.05, -3), (0.01, 127), (0.2, -128)]):
        q = {"scale": scale, "zero": zero}
        o = {"scale": scale, "zero": 10} if kind == "i8" else {}
        yield f"hard_swish_{i}", ramp, q, lambda n, x, o=o: n.unary("HARD_SWISH", x, s.HardSwishOptionsT(), **o)
        o = {"scale": 1 / 256, "zero": -128} if kind == "i8" else {}
        yield f"logistic_{i}", ramp, q, lambda n, x, o=o: n.unary("LOGISTIC", x, **o)
        o = {"scale": 1 / 128, "zero": 0} if kind == "i8" else {}
        yield f"tanh_{i}", ramp, q, lambda n, x, o=o: n.unary("TANH", x, **o)
        yield f"softmax_{i}", vector, q, lambda n, x: n.softmax(x)
    yield "softmax_beta", [1, 3, 2, 7], {"scale": 0.1}, lambda n, x: n.softmax(x, 0.37)
    yield "softmax_2", [1, 2], {"scale": 0.15, "zero": 60}, lambda n, x: n.softmax(x)
    o = {"scale": 16 / 256, "zero": 127} if kind == "i8" else {}
    yield "log_softmax", vector, {"scale": 0.11}, lambda n, x: n.unary("LOG_SOFTMAX", x, s.LogSoftmaxOptionsT(), **o)


def border_cases():
    """Models whose inputs or outputs are not int8."""
    image = [1, 6, 5, 3]

    def finish_u8(n, x):
        y = n.conv(n.requant(x, "i8", scale=0.05, zero=-3 - 128 + 125), 4, (3, 3), act=RELU, scale=0.2, zero=-128)
        return n.requant(y, "u8", scale=0.2, zero=0)

    yield "border_u8", image, "u8", {"zero": 125}, finish_u8
    yield "border_u8_rescale", image, "u8", {"zero": 3}, lambda n, x: n.requant(n.requant(x, "i8", scale=0.09, zero=9), "u8", scale=0.07, zero=200)
    deq = s.DequantizeOptionsT
    yield "border_f32", image, "f32", {}, lambda n, x: n.unary(
        "DEQUANTIZE", n.conv(n.requant(x, "i8", scale=0.016, zero=-5), 4, (3, 3), scale=0.1, zero=4), deq(), kind="f32")
    yield "border_quantize", [1, 16, 16, 1], "f32", {}, lambda n, x: n.requant(x, "i8", scale=0.0171, zero=7)


def random_nets():
    """Chains of random operators with random shapes: combinations that nobody thought of."""
    for seed in range(12):
        rng = np.random.default_rng(1000 + seed)
        pick = lambda *v: v[int(rng.integers(len(v)))]
        n = Net([1, int(rng.integers(8, 15)), int(rng.integers(8, 15)), int(rng.integers(1, 6))], "i8", 0.04,
                int(rng.integers(-128, 128)), seed)
        x = n.x
        for _ in range(int(rng.integers(3, 7))):
            step, k = int(rng.integers(7)), (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
            zero, stride = int(rng.integers(-128, 128)), (pick(1, 1, 2), pick(1, 1, 2))
            if step <= 1:
                x = n.conv(x, int(rng.integers(1, 14)), k, stride, act=pick(NONE, RELU), zero=zero)
            elif step == 2:
                x = n.depthwise(x, pick(1, 1, 2), k, stride, act=pick(NONE, RELU6), zero=zero)
            elif step == 3:
                y = n.conv(x, n.shape(x)[3], (3, 3), zero=zero)
                x = n.binary(pick("ADD", "SUB", "MUL"), x, y, pick(NONE, RELU), scale=0.2, zero=zero)
            elif step == 4:
                x = n.pool(pick("MAX_POOL_2D", "AVERAGE_POOL_2D"), x, (2, 2), stride, SAME)
            elif step == 5:
                x = n.concat([x, n.pool("MAX_POOL_2D", x, (3, 3), (1, 1), SAME)], 3)
            else:
                x = n.unary("HARD_SWISH", x, s.HardSwishOptionsT(), scale=n.tensors[x].scale_, zero=zero)
        if seed % 3 == 0:
            x = n.reduce("MEAN", x, [1, 2], False)
            x = n.fc(x, 6, n.shape(x)[-1])
        yield f"net_{seed}", n.finish(x)


def int8_models():
    seeds = [(0, 7 * i + 1) for i in range(SEEDS)]

    def samples(shape):
        count = int(np.prod(shape))
        return seeds + [(1, b"\x80" * count), (1, b"\x7f" * count), (2, 128)]

    for name, shape, quant, build in cases("i8"):
        n = Net(shape, "i8", seed=hash_name(name), **quant)
        yield name, n.finish(build(n, n.x)), samples(shape), {}
    single, double = batch_of_2("i8")
    yield "batch_of_2", single, samples([1, 5, 4, 3]), {"embedded": double}
    for name, model in random_nets():
        yield name, model, [(0, i) for i in range(SEEDS + 1)], {}
    for name, shape, kind, quant, build in border_cases():
        n = Net(shape, kind, seed=hash_name(name), **quant)
        yield name, n.finish(build(n, n.x)), samples(shape), {"low": -2, "high": 2}


def batch_of_2(kind):
    """A model for two samples at once, which imports as one for single samples."""

    def build(batch):
        n = Net([batch, 5, 4, 3], kind, seed=5)
        y = n.conv(n.x, 4, (3, 3), (2, 2))
        y = n.pool("AVERAGE_POOL_2D", y, (2, 2), (1, 1), VALID)
        return n.finish(n.fc(n.reshape(y, [batch, 8]), 3, 8))

    return build(1), build(2)


def half_weights(n, x):
    """Float16 storage: every constant goes through a DEQUANTIZE."""
    w = n.tensor("w", [4, 3, 3, 3], "f16", data=n.rng.normal(0, 0.2, [4, 3, 3, 3]))
    b = n.tensor("b", [4], "f16", data=n.rng.normal(0, 0.1, [4]))
    w, b = (n.unary("DEQUANTIZE", t, s.DequantizeOptionsT(), kind="f32") for t in (w, b))
    o = s.Conv2DOptionsT()
    o.strideH = o.strideW = o.dilationHFactor = o.dilationWFactor = 1
    return n.op("CONV_2D", [x, w, b], n.shape(x)[:3] + [4], o)


def float_models():
    single, double = batch_of_2("f32")
    yield "batch_of_2", single, [(0, 3), (2, 0)], {"low": -3, "high": 3, "embedded": double}
    n = Net([1, 5, 4, 3], "f32", seed=9)
    yield "half_weights", n.finish(half_weights(n, n.x)), [(0, 3), (2, 0)], {"low": -3, "high": 3}
    for name, shape, _, build in cases("f32"):
        n = Net(shape, "f32", seed=hash_name(name))
        yield name, n.finish(build(n, n.x)), [(0, 3), (2, 0)], {"low": -3, "high": 3}


def refused_models():
    """Models that must not import; the name lists what the error has to say."""
    image = [1, 4, 4, 3]

    n = Net(image, "f32")
    y = n.unary("SIN", n.unary("RELU", n.unary("EXP", n.x, s.ExpOptionsT())))
    yield "2 unsupported operators|EXP (node 0, 'exp0_0')|SIN (node 2, 'sin2_0')", n.finish(y)
    n = Net(image, "f32")
    y = n.conv(n.unary("CUSTOM", n.x), 2, (3, 3))
    n.custom = "TFLite_Detection_PostProcess"
    yield "custom operator 'TFLite_Detection_PostProcess' (node 0", n.finish(y)
    n = Net(image, "i16", scale=0.001, zero=0)
    yield "model input 'x'|int16", n.finish(n.unary("RELU", n.x))
    n = Net(image, "u8", zero=128)
    yield "CONV_2D (node 0|uint8", n.finish(n.conv(n.x, 2, (3, 3)))
    n = Net(image, "f32")
    yield "fused activation TANH", n.finish(n.conv(n.x, 2, (3, 3), act=4))
    n = Net(image, "i8")
    y = n.conv(n.x, 2, (3, 3))
    n.ops[0].inputs[0] = y
    yield "node 0|before any node writes it", n.finish(y)
    n = Net(image, "i8")
    y = n.conv(n.x, 2, (3, 3))
    n.tensors[n.ops[0].inputs[1]].quantization.zeroPoint = [3, 3]
    yield "zero point other than 0", n.finish(y)
    n = Net(image, "i8")
    y = n.conv(n.x, 2, (3, 3))
    n.tensors[y].quantization = None
    yield "no quantisation parameters", n.finish(y)
    n = Net(image, "i8")
    y = n.conv(n.x, 2, (3, 3))
    n.ops[0].inputs[1] = 77
    yield "refers to tensor 77", n.finish(y)
    n = Net(image, "f32")
    yield "shape [1, 4, 4, 3] cannot become [1, 7]", n.finish(n.reshape(n.x, [1, 7]))
    n = Net(image, "f32")
    y = n.spread(n.x, [2, 2], [[0, 0]] * 2, [[0, 0]] * 2, lambda t: n.unary("RELU", t))
    yield "SPACE_TO_BATCH_ND (node 0|only around one convolution", n.finish(y)


def hash_name(name):
    return sum((i + 1) * b for i, b in enumerate(name.encode()))


# --- the models of ../shared ------------------------------------------------------------------------------------------


def real_images():
    """Four CIFAR-10 test images as raw bytes, from the unpacked binary version (DTMM_CIFAR10 names the folder)."""
    folder = os.environ.get("DTMM_CIFAR10", os.path.join(ROOT, "data", "cifar-10-batches-bin"))
    data = np.fromfile(os.path.join(folder, "test_batch.bin"), np.uint8).reshape(-1, 3073)[[0, 17, 333, 4242], 1:]
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def shared_models():
    for name, path, samples, scaling in shared_cases():
        with open(os.path.join(MODELS, path), "rb") as f:
            model = f.read()
        if name == "kws_dscnn_f32":
            model = dequantized(model)
        yield name, model, samples, {"path": path, **scaling}
        g = s.ModelT.InitFromPackedBuf(model, 0).subgraphs[0]
        logits = g.tensors[g.operators[-1].inputs[0]].name.decode()
        if g.operators[-1].builtinOptionsType == s.BuiltinOptions.SoftmaxOptions:
            # A softmax hides most differences.
            yield name + "_logits", model, samples, {"path": path, "tap": logits, **scaling}


def dequantized(model):
    """The model with its int8 weights as floats, as the importer makes it. The kernels for such "dynamic range" models
    quantise activations on the fly, an approximation that float execution does not share."""
    m = s.ModelT.InitFromPackedBuf(model, 0)
    for t in m.subgraphs[0].tensors:
        if t.type == s.TensorType.INT8:
            values = m.buffers[t.buffer].data.view(np.int8).astype(np.float32) * np.float32(t.quantization.scale[0])
            m.buffers[t.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
            t.type, t.quantization = s.TensorType.FLOAT32, None
    fb = flatbuffers.Builder(1024)
    fb.Finish(m.Pack(fb), b"TFL3")
    return bytes(fb.Output())


def shared_cases():
    images = real_images()
    as_i8 = lambda a: [(1, (a ^ 0x80).tobytes()) for a in a]
    raw = lambda a: [(1, a.tobytes()) for a in a]
    features = np.fromfile(os.path.join(MODELS, "mlperf-tiny/kws01_features_500x49x10.i8"), np.uint8).reshape(500, 490)
    features = features[[0, 100, 250, 499]]
    spectrum = np.fromfile(os.path.join(MODELS, "mlperf-tiny/ad01_normal_id_01_00000000_hist_librosa.bin"), np.float32)
    frames = spectrum.reshape(-1, 128)
    windows = np.stack([frames[i : i + 5].reshape(640) for i in (0, 60, 150)])
    anomaly = np.clip(np.round(windows / 0.39101523) + 89, -128, 127).astype(np.int8)
    large = images[:2].repeat(3, 1).repeat(3, 2)
    random = [(0, i + 1) for i in range(SEEDS)]
    yield "ic_resnet8_int8", "mlperf-tiny/ic_resnet8_int8.tflite", random + as_i8(images), {}
    yield "ic_resnet8_large_int8", "mlperf-tiny/ic_resnet8_large_int8.tflite", random + as_i8(images), {}
    yield "resnet12_cifar10", "dtmm-prototype/resnet12_cifar10.dense.tflite", random + as_i8(images), {}
    yield "vgg11_cifar10", "dtmm-prototype/vgg11_cifar10.tflite", random + as_i8(images), {}
    yield "single_conv", "dtmm-prototype/single_conv.dense.tflite", random[:2], {}
    yield "kws_dscnn_int8", "mlperf-tiny/kws_dscnn_int8.tflite", random + raw(features), {}
    yield "ad01_int8", "mlperf-tiny/ad01_int8.tflite", random + raw(anomaly), {}
    yield "sww_int8", "mlperf-tiny/sww_int8.tflite", random + [(2, 0)], {}
    yield "vww_96_int8", "mlperf-tiny/vww_96_int8.tflite", random[:2] + as_i8(large), {}
    yield "hello_world_int8", "small/hello_world_int8.tflite", [(1, bytes([i])) for i in range(0, 256, 5)], {}
    lenet = {"low": -0.4242, "high": 2.8215}
    yield "ptq_mnist_lenet", "small/ptq_mnist_lenet-300-100.tflite", random, lenet
    yield "ic_resnet8_f32", "mlperf-tiny/ic_resnet8_f32.tflite", random + raw(images), {"low": 0, "high": 255}
    yield "vww_96_float", "mlperf-tiny/vww_96_float.tflite", random[:2] + raw(large[:1]), {"low": 0, "high": 1}
    mfcc = {"low": -123.4, "high": 25.7}
    yield "kws_dscnn_f32", "mlperf-tiny/kws_dscnn_f32.tflite", raw(features ^ 0x80), mfcc
    yield "hello_world_float", "small/hello_world_float.tflite", [(1, bytes([i])) for i in range(0, 256, 15)], {"low": 0, "high": 6.28}


def dump_tensors(path, seed):
    """Prints CRC and first values of every tensor, in execution order."""
    import zlib

    it = interpreter(open(path, "rb").read(), keep=True)
    (inp,) = it.get_input_details()
    raw = splitmix_bytes(seed, int(np.prod(inp["shape"])))
    it.set_tensor(inp["index"], as_tensor(raw, inp, 0.0, 1.0))
    it.invoke()
    for op in it._get_ops_details():
        for t in op["outputs"]:
            v = it.get_tensor(t)
            name = it._get_tensor_details(t, 0)["name"].split(";")[0]
            print(op["index"], op["op_name"], name, v.shape, f"{zlib.crc32(v.tobytes()):08x}", v.ravel()[:8])


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--tensors":
        return dump_tensors(sys.argv[2], int(sys.argv[3]))
    os.makedirs(OUT, exist_ok=True)
    files = {"int8": int8_models(), "float": float_models(), "shared": shared_models()}
    with open(os.path.join(OUT, "refused.golden"), "wb") as f:
        nothing = text("") + text("") + struct.pack("<ffIII", 0, 0, 0, 0, 0)
        f.write(b"".join(b"DTMMGLD1" + text(name) + text(model) + nothing for name, model in refused_models()))
    for group in sys.argv[1:] or files:
        models = files[group]
        records = [record(name, model, samples, **scaling) for name, model, samples, scaling in models]
        with open(os.path.join(OUT, group + ".golden"), "wb") as f:
            f.write(b"".join(records))


if __name__ == "__main__":
    main()
