"""Golden vectors: one-operator int8 TFLite models with inputs and the outputs of the TFLite reference kernels.

    pip install ai-edge-litert flatbuffers numpy
    python make.py            # writes NAME.tflite, NAME.in, NAME.out beside this file

NAME.in holds samples of all inputs one after another, NAME.out the outputs, as raw int8.
"""

import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = pathlib.Path(__file__).parent
OP, OPTIONS = s.BuiltinOperator, s.BuiltinOptions
NP = {np.dtype("int8"): s.TensorType.INT8, np.dtype("int32"): s.TensorType.INT32}
rng = np.random.default_rng(20240229)


def quant(scale, zero_point=0, axis=0):
    q = s.QuantizationParametersT()
    q.scale = np.atleast_1d(np.asarray(scale, np.float32))
    q.zeroPoint = np.broadcast_to(np.int64(zero_point), q.scale.shape).copy()
    q.quantizedDimension = axis
    return q


def build(op, kind, options, inputs, constants, output, version=1):
    """inputs: [(shape, quant)]; constants: [(array, quant or None)]; output: (shape, quant)."""
    model, graph = s.ModelT(), s.SubGraphT()
    model.version, model.buffers, graph.tensors, graph.name = 3, [s.BufferT()], [], "main"
    code = s.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = op, min(op, 127), version
    model.operatorCodes = [code]

    def tensor(shape, dtype, q, data=None):
        t = s.TensorT()
        t.shape, t.type, t.quantization = np.array(shape, np.int32), NP[np.dtype(dtype)], q
        t.name, t.buffer = f"t{len(graph.tensors)}", 0
        if data is not None:
            b = s.BufferT()
            b.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(b)
            t.buffer = len(model.buffers) - 1
        graph.tensors.append(t)
        return len(graph.tensors) - 1

    ins = [tensor(shape, "int8", q) for shape, q in inputs]
    cs = [tensor(a.shape, a.dtype, q, a) for a, q in constants]
    out = tensor(output[0], "int8", output[1])
    node = s.OperatorT()
    node.opcodeIndex, node.inputs, node.outputs = 0, np.array(ins + cs, np.int32), np.array([out], np.int32)
    if options is not None:
        node.builtinOptionsType, node.builtinOptions = kind, options
    graph.operators, graph.inputs, graph.outputs = [node], np.array(ins, np.int32), np.array([out], np.int32)
    model.subgraphs = [graph]
    b = flatbuffers.Builder(1024)
    b.Finish(model.Pack(b), b"TFL3")
    return bytes(b.Output())


def save(name, content, samples):
    """Runs `samples` (each a list of arrays) on the reference kernels and writes the three files."""
    it = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    it.allocate_tensors()
    ins, out = it.get_input_details(), it.get_output_details()[0]
    results = []
    for sample in samples:
        for detail, x in zip(ins, sample):
            it.set_tensor(detail["index"], x)
        it.invoke()
        results.append(it.get_tensor(out["index"]).tobytes())
    (HERE / f"{name}.tflite").write_bytes(content)
    (HERE / f"{name}.in").write_bytes(b"".join(x.tobytes() for sample in samples for x in sample))
    (HERE / f"{name}.out").write_bytes(b"".join(results))


def values(shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def every_byte(shape):
    """All 256 values, for functions of one value."""
    return np.resize(np.arange(-128, 128), shape).astype(np.int8)


def options(cls, **fields):
    o = cls()
    for key, value in fields.items():
        setattr(o, key, value)
    return o


RELU = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


def linear(name, op, kind, opts, x, w, y, per_channel, axis, filters, samples=2):
    """A convolution or fully connected layer whose outputs fill the int8 range, biases included."""
    sx, sy = np.float32(0.037), np.float32(0.053)
    sw = np.float32(rng.uniform(0.002, 0.02, filters if per_channel else 1))
    weights = rng.integers(-127, 128, w).astype(np.int8)
    bias = np.round(rng.uniform(-2, 2, filters) / (sx * sw)).astype(np.int32)
    constants = [(weights, quant(sw, 0, axis)), (bias, quant(np.float32(sx * sw), 0, 0))]
    content = build(op, kind, opts, [(x, quant(sx, -9))], constants, (y, quant(sy, 4)), 3)
    save(name, content, [[values(x)] for _ in range(samples)])


def convolutions():
    for pad, stride, dilation, act in [(0, 1, 1, "none"), (1, 2, 1, "relu"), (0, 1, 2, "relu6"), (0, 2, 1, "relu_n1_to_1")]:
        o = options(s.Conv2DOptionsT, padding=pad, strideH=stride, strideW=stride, dilationHFactor=dilation,
                    dilationWFactor=dilation, fusedActivationFunction=RELU[act])
        out = {(0, 1): (6, 7), (1, 2): (2, 3), (0, 2): (3, 4)}[(pad, stride)]
        linear(f"conv2d_{'same' if pad == 0 else 'valid'}_s{stride}_d{dilation}_{act}", OP.CONV_2D, OPTIONS.Conv2DOptions, o,
               (1, 6, 7, 5), (8, 3, 3, 5), (1, *out, 8), True, 0, 8)
    for mult in (1, 2):
        o = options(s.DepthwiseConv2DOptionsT, padding=0, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
                    depthMultiplier=mult, fusedActivationFunction=1)
        linear(f"depthwise_m{mult}", OP.DEPTHWISE_CONV_2D, OPTIONS.DepthwiseConv2DOptions, o, (1, 5, 6, 4),
               (1, 3, 3, 4 * mult), (1, 5, 6, 4 * mult), True, 3, 4 * mult)
    for per_channel in (False, True):
        linear(f"fully_connected_{'channel' if per_channel else 'tensor'}", OP.FULLY_CONNECTED,
               OPTIONS.FullyConnectedOptions, options(s.FullyConnectedOptionsT), (1, 3), (64, 3), (1, 64),
               per_channel, 0, 64, 16)


def binary():
    shape, channel = (1, 8, 8, 12), (1, 1, 1, 12)
    cases = [("add", OP.ADD, OPTIONS.AddOptions, s.AddOptionsT), ("sub", OP.SUB, OPTIONS.SubOptions, s.SubOptionsT),
             ("mul", OP.MUL, OPTIONS.MulOptions, s.MulOptionsT)]
    for name, op, kind, cls in cases:
        sy = 0.021 if name == "mul" else 0.07
        for act in ("none", "relu"):
            o = options(cls, fusedActivationFunction=RELU[act])
            content = build(op, kind, o, [(shape, quant(0.043, 7)), (shape, quant(0.0291, -30))], [], (shape, quant(sy, -5)), 2)
            save(f"{name}_{act}", content, [[values(shape), values(shape)]])
        constant = values(channel)
        content = build(op, kind, options(cls), [(shape, quant(0.043, 7))], [(constant, quant(0.0291, -30))], (shape, quant(sy, -5)), 2)
        save(f"{name}_constant", content, [[values(shape)]])


def unary():
    shape = (1, 16, 16, 1)
    x = every_byte(shape)
    for i, (scale, zero_point) in enumerate([(0.031, 4), (0.094, -77)]):
        q = quant(scale, zero_point)
        for name, op, out in [("logistic", OP.LOGISTIC, quant(1 / 256, -128)), ("tanh", OP.TANH, quant(1 / 128, 0)),
                              ("relu", OP.RELU, quant(0.047, -128)), ("relu6", OP.RELU6, quant(0.0235, -128))]:
            save(f"{name}_{i}", build(op, 0, None, [(shape, q)], [], (shape, out), 2), [[x]])
        out = quant(scale * 0.77, -90)
        save(f"hard_swish_{i}", build(OP.HARD_SWISH, OPTIONS.HardSwishOptions, s.HardSwishOptionsT(), [(shape, q)], [], (shape, quant(scale * 1.07, -90))), [[x]])
        o = options(s.LeakyReluOptionsT, alpha=0.13)
        save(f"leaky_relu_{i}", build(OP.LEAKY_RELU, OPTIONS.LeakyReluOptions, o, [(shape, q)], [], (shape, out), 2), [[x]])
        save(f"quantize_{i}", build(OP.QUANTIZE, OPTIONS.QuantizeOptions, s.QuantizeOptionsT(), [(shape, q)], [], (shape, out), 2), [[x]])


def softmaxes():
    for i, (scale, n) in enumerate([(0.0127, 10), (0.1, 12), (0.4, 3), (0.06, 40)]):
        shape = (24, n)
        def sample():
            spread = rng.choice([4.0, 20.0, 80.0], (24, 1))
            return np.clip(rng.normal(0, spread, shape), -128, 127).astype(np.int8)
        one = (1, n)
        o = options(s.SoftmaxOptionsT, beta=1.0)
        content = build(OP.SOFTMAX, OPTIONS.SoftmaxOptions, o, [(one, quant(scale, 3))], [], (one, quant(1 / 256, -128)), 2)
        save(f"softmax_{i}", content, [[row[None]] for row in sample()])
        content = build(OP.LOG_SOFTMAX, OPTIONS.LogSoftmaxOptions, s.LogSoftmaxOptionsT(), [(one, quant(scale, 3))], [], (one, quant(16 / 256, 127)), 2)
        save(f"log_softmax_{i}", content, [[row[None]] for row in sample()])


def pools_and_means():
    shape = (1, 7, 6, 5)
    q = quant(0.05, -20)
    for pad, act in [(0, "none"), (1, "relu6")]:
        for name, op in [("average", OP.AVERAGE_POOL_2D), ("max", OP.MAX_POOL_2D)]:
            o = options(s.Pool2DOptionsT, padding=pad, strideH=2, strideW=2, filterHeight=3, filterWidth=2, fusedActivationFunction=RELU[act])
            out = (1, 4, 3, 5) if pad == 0 else (1, 3, 3, 5)
            save(f"{name}_pool_{act}", build(op, OPTIONS.Pool2DOptions, o, [(shape, q)], [], (out, q), 2), [[values(shape)] for _ in range(3)])
    for name, axes, out_q in [("hw", [1, 2], quant(0.031, 9)), ("hw_same", [1, 2], q), ("w", [2], quant(0.05, 3)), ("hwc", [1, 2, 3], quant(0.011, 3))]:
        out = tuple(1 if a in axes else d for a, d in enumerate(shape))
        o = options(s.ReducerOptionsT, keepDims=True)
        axis = np.array(axes, np.int32)
        samples = [[np.clip(rng.normal(-20, 40, shape), -128, 127).astype(np.int8)] for _ in range(12)]
        save(f"mean_{name}", build(OP.MEAN, OPTIONS.ReducerOptions, o, [(shape, q)], [(axis, None)], (out, out_q), 2), samples)


def movement():
    shape, q = (1, 4, 5, 3), quant(0.05, -20)
    x = [[values(shape)]]
    pads = np.array([[0, 0], [1, 2], [0, 1], [2, 0]], np.int32)
    save("pad", build(OP.PAD, OPTIONS.PadOptions, s.PadOptionsT(), [(shape, q)], [(pads, None)], ((1, 7, 6, 5), q), 2), x)
    for align, half in [(False, False), (True, False), (False, True)]:
        o = options(s.ResizeNearestNeighborOptionsT, alignCorners=align, halfPixelCenters=half)
        size = np.array([9, 7], np.int32)
        save(f"resize_{int(align)}{int(half)}", build(OP.RESIZE_NEAREST_NEIGHBOR, OPTIONS.ResizeNearestNeighborOptions, o, [(shape, q)], [(size, None)], ((1, 9, 7, 3), q), 3), x)
    perm = np.array([0, 3, 1, 2], np.int32)
    save("transpose", build(OP.TRANSPOSE, OPTIONS.TransposeOptions, s.TransposeOptionsT(), [(shape, q)], [(perm, None)], ((1, 3, 4, 5), q), 2), x)
    begin, end, stride = (np.array(v, np.int32) for v in ([0, 1, 0, 0], [1, 4, 5, 2], [1, 2, 2, 1]))
    save("strided_slice", build(OP.STRIDED_SLICE, OPTIONS.StridedSliceOptions, s.StridedSliceOptionsT(), [(shape, q)], [(begin, None), (end, None), (stride, None)], ((1, 2, 3, 2), q), 2), x)
    o = options(s.ConcatenationOptionsT, axis=3)
    save("concat", build(OP.CONCATENATION, OPTIONS.ConcatenationOptions, o, [(shape, q), ((1, 4, 5, 2), q)], [], ((1, 4, 5, 5), q), 2), [[values(shape), values((1, 4, 5, 2))]])


convolutions()
binary()
unary()
softmaxes()
pools_and_means()
movement()
