"""Golden vectors for the reference kernels: single-operator int8 models run by the TFLite reference kernels.

Needs numpy, flatbuffers and ai-edge-litert. Writes golden.txt beside this file; the seed is fixed.
Each case is a line `case NAME`, then lines `KEY NUMBERS...`; activations and weights are hexadecimal bytes.
"""

import math
import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RNG = np.random.default_rng(20240117)
F = np.float32
lines = []


# ---------------------------------------------------------------- models of one operator


def tensor(name, shape, dtype, scale=None, zero_point=None, axis=0, buffer=0):
    t = s.TensorT()
    t.name, t.shape, t.type, t.buffer = name, list(shape), dtype, buffer
    if scale is not None:
        q = s.QuantizationParametersT()
        q.scale = [float(v) for v in np.atleast_1d(scale)]
        q.zeroPoint = [int(v) for v in np.atleast_1d(zero_point)]
        q.quantizedDimension = axis
        t.quantization = q
    return t


def run(op, version, options_type, options, inputs, output, feeds):
    """Runs one operator; `inputs` = (tensor, constant data or None), `feeds` = data of the non-constant ones."""
    model = s.ModelT()
    model.version, model.buffers = 3, [s.BufferT()]
    code = s.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = op, min(op, 127), version
    graph, operator = s.SubGraphT(), s.OperatorT()
    graph.tensors, graph.inputs, graph.outputs = [], [], []
    for t, data in inputs:
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            t.buffer = len(model.buffers)
            model.buffers.append(buffer)
        else:
            graph.inputs.append(len(graph.tensors))
        graph.tensors.append(t)
    operator.inputs = list(range(len(graph.tensors)))
    operator.outputs = graph.outputs = [len(graph.tensors)]
    graph.tensors.append(output)
    operator.opcodeIndex, operator.builtinOptionsType, operator.builtinOptions = 0, options_type, options
    graph.operators, model.subgraphs, model.operatorCodes = [operator], [graph], [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(
        model_content=bytes(builder.Output()), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail, data in zip(interpreter.get_input_details(), feeds):
        interpreter.set_tensor(detail["index"], data)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


# ---------------------------------------------------------------- the host's half of the arithmetic


def quantize_multiplier(real):
    if real == 0:
        return 0, 0
    q, shift = math.frexp(real)
    q = math.floor(q * (1 << 31) + 0.5)
    if q == 1 << 31:
        q, shift = q // 2, shift + 1
    return (0, 0) if shift < -31 else (q, shift)


def input_radius(integer_bits, shift):
    return math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << shift))


def softmax_scaling(beta, scale):
    multiplier, shift = quantize_multiplier(min(beta * float(scale) * (1 << 26), (1 << 31) - 1.0))
    return multiplier, shift, -input_radius(5, shift)


def q15(m):
    return 32767 if m >= (1 << 31) - 1 - (1 << 15) else (m + (1 << 15)) >> 16


def clamp(activation, scale, zero_point):
    low, high = {0: (None, None), 1: (0, None), 3: (0, 6), 2: (-1, 1)}[activation]
    at = lambda v: zero_point + round_half_away(F(v) / F(scale))
    return (-128 if low is None else max(-128, at(low)), 127 if high is None else min(127, at(high)))


def round_half_away(v):
    return int(math.floor(abs(float(v)) + 0.5)) * (1 if v >= 0 else -1)


# ---------------------------------------------------------------- output


def emit(name, **fields):
    lines.append(f"case {name}")
    for key, value in fields.items():
        if isinstance(value, np.ndarray) and value.dtype == np.int8:
            lines.append(f"{key} {value.tobytes().hex()}")
        else:
            lines.append(key + "".join(f" {int(v)}" for v in np.atleast_1d(np.array(value)).ravel()))


def i8(shape):
    return RNG.integers(-128, 128, shape, dtype=np.int64).astype(np.int8)


def scale_zp(low=0.002, high=0.2):
    return F(np.exp(RNG.uniform(np.log(low), np.log(high)))), int(RNG.integers(-128, 128))


def same_pad(size, kernel, stride, dilation):
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return out, total // 2


def window(h, w, k, st, d, same):
    if same:
        (oh, top), (ow, left) = (same_pad(n, k[i], st[i], d[i]) for i, n in enumerate((h, w)))
    else:
        oh, ow = ((n - (k[i] - 1) * d[i] - 1) // st[i] + 1 for i, n in enumerate((h, w)))
        top = left = 0
    return oh, ow, [*k, *st, *d, top, left]


# ---------------------------------------------------------------- operators


def linear(kind, x_shape, o, k=(1, 1), st=(1, 1), d=(1, 1), same=True, activation=0, per_channel=True, zero_points=None, scales=None):
    h, w, c = x_shape
    depthwise, fc = kind == "depthwise", kind == "fully_connected"
    xs, xz = scale_zp()
    ys, yz = scale_zp(0.02, 0.5)
    if zero_points:
        xz, yz = zero_points
    if scales:
        xs, ys = map(F, scales)
    n = o if per_channel else 1
    ws = np.exp(RNG.uniform(np.log(0.0005), np.log(0.02), n)).astype(F)
    w_shape = (o, c) if fc else ((1, *k, o) if depthwise else (o, *k, c))
    weights = RNG.integers(-127, 128, w_shape).astype(np.int8)
    bias = RNG.integers(-3000, 3000, o).astype(np.int32)
    x = i8((h * w, c) if fc else (1, h, w, c))
    oh, ow, win = window(h, w, k, st, d, same)
    axis = 3 if depthwise else 0
    inputs = [
        (tensor("x", x.shape, s.TensorType.INT8, xs, xz), None),
        (tensor("w", w_shape, s.TensorType.INT8, ws, [0] * n, axis), weights),
        (tensor("b", [o], s.TensorType.INT32, xs * ws, [0] * n), bias),
    ]
    y_shape = (h * w, o) if fc else (1, oh, ow, o)
    y = tensor("y", y_shape, s.TensorType.INT8, ys, yz)
    if fc:
        options, code, options_type = s.FullyConnectedOptionsT(), s.BuiltinOperator.FULLY_CONNECTED, s.BuiltinOptions.FullyConnectedOptions
    else:
        depth = s.DepthwiseConv2DOptionsT, s.BuiltinOperator.DEPTHWISE_CONV_2D, s.BuiltinOptions.DepthwiseConv2DOptions
        full = s.Conv2DOptionsT, s.BuiltinOperator.CONV_2D, s.BuiltinOptions.Conv2DOptions
        make, code, options_type = depth if depthwise else full
        options = make()
        options.padding = 0 if same else 1
        options.strideH, options.strideW = st
        options.dilationHFactor, options.dilationWFactor = d
        if depthwise:
            options.depthMultiplier = o // c
    options.fusedActivationFunction = activation
    out = run(code, 5, options_type, options, inputs, y, [x])
    product = [float(F(xs * v)) if fc and not per_channel else float(xs) * float(v) for v in ws]
    scales = [quantize_multiplier(p / float(ys)) for p in product]
    axes = tuple(range(1, weights.ndim)) if not depthwise else (0, 1, 2)
    folded = bias - xz * weights.astype(np.int64).sum(axis=axes)
    emit(
        kind, input=[h, w, c], output=[oh, ow, o], window=win, zero_points=[xz, yz],
        clamp=clamp(activation, ys, yz), bias=folded, multiplier=[m for m, _ in scales],
        shift=[sh for _, sh in scales], w=weights, x=x, y=out,
    )


def elementwise(kind, a_shape, b_shape, activation=0):
    (s1, z1), (s2, z2), (so, zo) = scale_zp(), scale_zp(), scale_zp(0.01, 0.3)
    if kind == "mul":
        so = F(s1 * s2 * F(RNG.uniform(20, 400)))
    a, b = i8((1, *a_shape)), i8((1, *b_shape))
    y_shape = np.broadcast_shapes(a.shape, b.shape)
    t = s.TensorType.INT8
    inputs = [(tensor("a", a.shape, t, s1, z1), None), (tensor("b", b.shape, t, s2, z2), None)]
    code, options_type, options = {
        "add": (s.BuiltinOperator.ADD, s.BuiltinOptions.AddOptions, s.AddOptionsT()),
        "sub": (s.BuiltinOperator.SUB, s.BuiltinOptions.SubOptions, s.SubOptionsT()),
        "mul": (s.BuiltinOperator.MUL, s.BuiltinOptions.MulOptions, s.MulOptionsT()),
    }[kind]
    options.fusedActivationFunction = activation
    out = run(code, 2, options_type, options, inputs, tensor("y", y_shape, t, so, zo), [a, b])
    if kind == "mul":
        scales = [(0, 0), (0, 0), quantize_multiplier(float(F(F(s1 * s2) / so)))]
    else:
        twice = 2 * float(max(s1, s2))
        scales = [quantize_multiplier(r) for r in (float(s1) / twice, float(s2) / twice, twice / ((1 << 20) * float(so)))]
    emit(
        kind, a_shape=a_shape, b_shape=b_shape, output=y_shape[1:], zero_points=[z1, z2, zo],
        clamp=clamp(activation, so, zo), multiplier=[m for m, _ in scales], shift=[sh for _, sh in scales],
        x=a, b=b, y=out,
    )


def pool(kind, x_shape, k, st, same, activation=0):
    xs, xz = scale_zp()
    oh, ow, win = window(*x_shape[:2], k, st, (1, 1), same)
    x = i8((1, *x_shape))
    options = s.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = 0 if same else 1, activation
    options.strideH, options.strideW = st
    options.filterHeight, options.filterWidth = k
    code = s.BuiltinOperator.MAX_POOL_2D if kind == "max_pool" else s.BuiltinOperator.AVERAGE_POOL_2D
    t, y_shape = s.TensorType.INT8, (1, oh, ow, x_shape[2])
    y = tensor("y", y_shape, t, xs, xz)
    out = run(code, 2, s.BuiltinOptions.Pool2DOptions, options, [(tensor("x", x.shape, t, xs, xz), None)], y, [x])
    emit(kind, input=x_shape, output=y_shape[1:], window=win, clamp=clamp(activation, xs, xz), x=x, y=out)


def mean(x_shape, axes, keep, same_scale=False):
    xs, xz = scale_zp(0.01, 0.1)
    ys, yz = (xs, xz) if same_scale else scale_zp(0.005, 0.1)
    x = i8((1, *x_shape))
    full = [1 if i in axes else n for i, n in enumerate((1, *x_shape))]
    y_shape = full if keep else [n for i, n in enumerate((1, *x_shape)) if i not in axes]
    t = s.TensorType.INT8
    options = s.ReducerOptionsT()
    options.keepDims = keep
    axis = np.array(axes, np.int32)
    inputs = [(tensor("x", x.shape, t, xs, xz), None), (tensor("a", axis.shape, s.TensorType.INT32), axis)]
    out = run(s.BuiltinOperator.MEAN, 2, s.BuiltinOptions.ReducerOptions, options, inputs, tensor("y", y_shape, t, ys, yz), [x])
    count = int(np.prod([x_shape[a - 1] for a in axes]))
    multiplier, shift = quantize_multiplier(float(xs) / float(ys))
    # The division by the number of elements goes into the multiplier.
    by = min(63 - (64 - count.bit_length()), 32, 31 + shift)
    emit(
        "mean", input=x_shape, axes=[a in axes for a in (1, 2, 3)], zero_points=[xz, yz],
        multiplier=(multiplier << by) // count, shift=shift - by, x=x, y=out,
    )


def softmax(kind, rows, channels, scale, zero_point=3, beta=1.0):
    x = i8((rows, channels))
    t = s.TensorType.INT8
    multiplier, shift, diff_min = softmax_scaling(beta, F(scale))
    fields = dict(channels=channels, multiplier=multiplier, shift=shift, diff_min=diff_min)
    inputs = [(tensor("x", x.shape, t, scale, zero_point), None)]
    if kind == "softmax":
        options = s.SoftmaxOptionsT()
        options.beta = beta
        y = tensor("y", x.shape, t, 1 / 256, -128)
        out = run(s.BuiltinOperator.SOFTMAX, 2, s.BuiltinOptions.SoftmaxOptions, options, inputs, y, [x])
    else:
        y = tensor("y", x.shape, t, 16 / 256, 127)
        out = run(s.BuiltinOperator.LOG_SOFTMAX, 2, s.BuiltinOptions.LogSoftmaxOptions, s.LogSoftmaxOptionsT(), inputs, y, [x])
        reverse = quantize_multiplier((1 << (31 - shift)) / multiplier)
        fields.update(reverse=reverse)
    emit(kind, **fields, x=x, y=out)


ALL = np.arange(-128, 128, dtype=np.int64).astype(np.int8).reshape(1, 256)


def unary(kind, x_scale, x_zp, y_scale=None, y_zp=None, alpha=0.3):
    t = s.TensorType.INT8
    xs = F(x_scale)
    ys, yz = {"logistic": (F(1 / 256), -128), "tanh": (F(1 / 128), 0)}.get(kind, (F(y_scale or 1), y_zp))
    options_type, options = 0, None
    if kind in ("logistic", "tanh"):
        multiplier, shift = quantize_multiplier(float(xs) * (1 << 27))
        fields = dict(input=[x_zp, input_radius(4, shift), multiplier, shift])
        code = s.BuiltinOperator.LOGISTIC if kind == "logistic" else s.BuiltinOperator.TANH
    elif kind == "hard_swish":
        hires = F(F(1 / 128) * xs)
        output, reluish = (quantize_multiplier(float(r)) for r in (F(hires / ys), F(hires / F(F(3) / F(32768)))))
        fields = dict(zero_points=[x_zp, yz], out=[q15(output[0]), output[1]], reluish=[q15(reluish[0]), reluish[1]])
        code, options_type, options = s.BuiltinOperator.HARD_SWISH, s.BuiltinOptions.HardSwishOptions, s.HardSwishOptionsT()
    elif kind == "leaky_relu":
        code, options_type, options = s.BuiltinOperator.LEAKY_RELU, s.BuiltinOptions.LeakyReluOptions, s.LeakyReluOptionsT()
        options.alpha = alpha
        fields = dict(
            zero_points=[x_zp, yz], identity=quantize_multiplier(float(F(xs / ys))),
            alpha=quantize_multiplier(float(F(F(xs * F(alpha)) / ys))),
        )
    else:
        code = {"relu": s.BuiltinOperator.RELU, "relu6": s.BuiltinOperator.RELU6, "quantize": s.BuiltinOperator.QUANTIZE}[kind]
        low_high = {"relu": 1, "relu6": 3, "quantize": 0}[kind]
        real = float(xs) / float(ys) if kind == "quantize" else float(F(xs / ys))
        multiplier, shift = quantize_multiplier(real)
        fields = dict(zero_points=[x_zp, yz], multiplier=multiplier, shift=shift, clamp=clamp(low_high, ys, yz))
        if kind == "quantize":
            options_type, options = s.BuiltinOptions.QuantizeOptions, s.QuantizeOptionsT()
    inputs = [(tensor("x", ALL.shape, t, xs, x_zp), None)]
    version = 1 if kind == "hard_swish" else 2
    out = run(code, version, options_type, options, inputs, tensor("y", ALL.shape, t, ys, yz), [ALL])
    emit("requantize" if kind in ("relu", "relu6", "quantize") else kind, **fields, x=ALL, y=out)


def main():
    for args in [
        dict(x_shape=(5, 6, 3), o=4, k=(3, 3)),
        dict(x_shape=(7, 5, 8), o=5, k=(3, 3), st=(2, 2), activation=1),
        dict(x_shape=(6, 6, 4), o=3, k=(3, 3), d=(2, 2), same=True, activation=3),
        dict(x_shape=(6, 7, 5), o=3, k=(5, 3), st=(1, 2), same=False, zero_points=(-128, 127)),
        dict(x_shape=(4, 4, 16), o=6, k=(1, 1), zero_points=(127, -128)),
        dict(x_shape=(1, 12, 2), o=3, k=(1, 4), st=(1, 3), activation=2),
        dict(x_shape=(4, 4, 3), o=4, k=(3, 3), per_channel=False),
    ]:
        linear("conv2d", **args)
    for args in [
        dict(x_shape=(5, 5, 4), o=4, k=(3, 3)),
        dict(x_shape=(6, 5, 3), o=6, k=(3, 3), st=(2, 2), activation=1),
        dict(x_shape=(7, 6, 2), o=6, k=(2, 3), d=(1, 1), same=False),
        dict(x_shape=(7, 7, 3), o=3, k=(3, 3), d=(2, 2), activation=3),
        dict(x_shape=(8, 3, 1), o=8, k=(5, 3), st=(2, 2)),
        dict(x_shape=(4, 3, 20), o=20, k=(3, 3)),
        dict(x_shape=(3, 4, 9), o=18, k=(3, 3), activation=1),
    ]:
        linear("depthwise", **args)
    for args in [
        dict(x_shape=(1, 1, 33), o=10, per_channel=False),
        dict(x_shape=(1, 3, 16), o=7, per_channel=False, activation=1),
        dict(x_shape=(1, 1, 20), o=5, per_channel=True),
        # Sums that land on both sides of a tie: only one rounding gives all of them.
        dict(x_shape=(1, 64, 12), o=40, per_channel=False, zero_points=(3, 0), scales=(0.02, 0.3)),
    ]:
        linear("fully_connected", **args)
    for kind in ("add", "sub", "mul"):
        elementwise(kind, (4, 5, 6), (4, 5, 6))
        elementwise(kind, (4, 5, 6), (4, 5, 6), activation=1)
        elementwise(kind, (3, 4, 5), (1, 1, 5))
        elementwise(kind, (1, 4, 1), (3, 4, 2), activation=3)
    for kind in ("max_pool", "average_pool"):
        pool(kind, (6, 6, 3), (2, 2), (2, 2), False)
        pool(kind, (7, 5, 4), (3, 3), (2, 2), True, activation=1)
        pool(kind, (5, 5, 2), (3, 2), (1, 1), True)
        pool(kind, (25, 5, 8), (25, 5), (25, 5), False)
    for shape, axes, keep in [
        ((8, 8, 6), (1, 2), True), ((7, 3, 10), (1, 2), True), ((6, 6, 4), (1, 2), False), ((4, 5, 6), (2,), True),
        ((4, 5, 6), (3,), True), ((3, 4, 5), (1, 2, 3), True), ((4, 9, 5), (1,), False),
    ]:
        mean(shape, axes, keep)
        mean(shape, axes, keep, same_scale=True)
    for scale in (0.005, 0.04, 0.1, 0.7):
        softmax("softmax", 3, 12, scale)
        softmax("log_softmax", 3, 12, scale)
    softmax("softmax", 2, 300, 0.02, beta=2.0)
    softmax("softmax", 1, 1, 0.1)
    softmax("log_softmax", 2, 300, 0.02)
    for scale, zero_point in ((0.03, 5), (0.1, -128), (0.5, 127), (0.004, 0)):
        unary("logistic", scale, zero_point)
        unary("tanh", scale, zero_point)
        unary("hard_swish", scale, zero_point, scale * 0.7, -20)
        unary("leaky_relu", scale, zero_point, scale * 0.9, 11, alpha=0.2)
        unary("relu", scale, zero_point, scale * 0.6, -128)
        unary("relu6", scale, zero_point, 6 / 255, -128)
        unary("quantize", scale, zero_point, scale * 1.7, 33)
    path = pathlib.Path(__file__).with_name("golden.txt")
    path.write_text("\n".join(lines) + "\n")
    print(f"{sum(line.startswith('case') for line in lines)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
