# Copyright 2026 The tfmot_sapp Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
# ==============================================================================
"""How far a quantized file may be from its source: the noise of rounding.

Rounding to steps of size d adds an error of variance d^2 / 12, with d the scale
of an 8-bit tensor; a float16 weight w has steps of up to 2^-10 w. The variances
are carried through the file's operators to its outputs:

- a product with weights W of n inputs each: (v + u) |W|^2 + n m w, with v the
  variance of the input's error, u that of its own rounding (dynamic range), m
  the input's mean square and w the variance of the weights' error; |W|^2 is
  the mean over outputs of the sum of squares;
- a bias adds its own variance;
- an addition adds variances, a product of two tensors weighs each with the
  other's mean square, a softmax turns the absolute error of its logits into a
  relative one, anything else hands on the largest variance that it reads;
- an 8-bit result adds its own rounding.

These are first-order formulas for independent errors. Errors that happen to add
up are allowed for by the margin that `verify` multiplies with.
"""

import contextlib
import dataclasses

import numpy as np

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export import runtime
from tfmot_sapp.export.tflite.flatbuffer import Graph, Op, Tensor, read_graph

# Operators that multiply an activation by weights, with the weights' axes that
# belong to one output; the other axes count outputs.
_PRODUCTS = {
    "FULLY_CONNECTED": (1,),
    "CONV_2D": (1, 2, 3),
    "CONV_3D": (0, 1, 2, 3),
    "TRANSPOSE_CONV": (1, 2, 3),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
}

# Operators that copy, and round only if the scale changes.
_MOVES = frozenset(
    {"CONCATENATION", "EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "PAD", "PADV2"}
    | {"RELU", "RESHAPE", "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE"}
    | {"STRIDED_SLICE", "TRANSPOSE"}
)


# Operators with inner graphs or gates that the formulas don't reach into; they
# are taken to add errors of 2 %.
_RECURRENT = frozenset(
    {"WHILE", "IF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF"}
    | {"BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"}
)
_RECURRENT_NOISE = 0.02**2


@dataclasses.dataclass(frozen=True)
class _Values:
    """What is known of a tensor: mean square, range, variance of its error."""

    power: float
    span: float
    variance: float


@dataclasses.dataclass(frozen=True)
class OutputNoise:
    """The rounding error to expect of one output.

    Attributes:
        carried: Root mean square of what the roundings inside the file cause.
        half_step: Largest error from rounding the output itself.
    """

    carried: float
    half_step: float


def output_noise(
    content: bytes, inputs: dict[str, np.ndarray]
) -> dict[str, OutputNoise]:
    """Returns the expected rounding error of a file's outputs.

    Args:
        content: A `.tflite` file's bytes.
        inputs: One array by input name, for which the file is run once
            without a delegate, to know how large its tensors are.

    Returns:
        Dictionary from output names to `OutputNoise`; zeros for a file without
        a rounded tensor.
    """
    graph = read_graph(content)
    found, outputs = _observe(content, graph, inputs)
    known = {i: _start(graph.tensors[i], array) for i, array in found.items()}
    steps = dict.fromkeys(known, 0.0)
    for op in graph.ops:
        _step(graph, op, known)
        for output in op.outputs:
            steps[output] = _step_size(graph, op, output, steps)
    return {
        name: OutputNoise(
            float(np.sqrt(known[index].variance)),
            steps.get(index, 0.0) / 2.0,
        )
        for name, index in outputs.items()
    }


def _step_size(
    graph: Graph, op: Op, output: int, steps: dict[int, float]
) -> float:
    # A float32 output that was only dequantized is as coarse as its source.
    if op.name == "DEQUANTIZE":
        return steps.get(op.inputs[0], 0.0)
    scales = graph.tensors[output].scales
    return float(np.max(scales)) if len(scales) else 0.0


def _observe(
    content: bytes, graph: Graph, inputs: dict[str, np.ndarray]
) -> tuple[dict[int, np.ndarray], dict[str, int]]:
    """Runs a file and returns all its tensors, and its outputs' indices."""
    resolvers = runtime.interpreter_module().OpResolverType
    interpreter = runtime.load(
        content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    with quiet():
        runner = interpreter.get_signature_runner()
        takes = runner.get_input_details()
        runner(
            **{
                name: runtime.to_stored(inputs[name], detail)
                for name, detail in takes.items()
            }
        )
        outputs = {
            name: detail["index"]
            for name, detail in runner.get_output_details().items()
        }
        wanted = {i for op in graph.ops for i in (*op.inputs, *op.outputs)}
        wanted |= set(outputs.values())
        found = {}
        for i in sorted(wanted - {-1}):
            tensor = graph.tensors[i]
            if tensor.data is None and tensor.dtype in _NUMERIC:
                with contextlib.suppress(ValueError):  # Not computed.
                    found[i] = interpreter.get_tensor(i)
            elif tensor.data is not None:
                found[i] = tensor.data
    return found, outputs


_ROUNDED = ("INT4", "INT8", "UINT8", "INT16")
_NUMERIC = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "INT32", "INT64")


def _start(tensor: Tensor, stored: np.ndarray) -> _Values:
    if not stored.size:
        return _Values(0.0, 0.0, 0.0)
    if tensor.is_sparse:
        # Stored block by block, so that scales per channel can't be told
        # apart; their mean square does for a mean square.
        scale = float(np.mean(np.square(_scales(tensor))))
        total = float(np.sum(np.square(stored.astype(np.float64))))
        power, span = scale * total / float(np.prod(tensor.shape)), 0.0
    else:
        real = _real(tensor, stored)
        power = float(np.mean(np.square(real)))
        # XNNPACK's dynamic range contains zero.
        span = float(max(real.max(), 0.0) - min(real.min(), 0.0))
    variance = _rounding(tensor, power)
    if tensor.data is not None:
        # The zeros of a pruned kernel are exact.
        variance *= np.count_nonzero(stored) / np.prod(tensor.shape)
    return _Values(power, span, float(variance))


def _scales(tensor: Tensor) -> np.ndarray:
    return tensor.scales if len(tensor.scales) else np.ones(1)


def _rounding(tensor: Tensor, power: float) -> float:
    if tensor.dtype == "FLOAT16":
        # Below 2^-14 steps are no longer smaller with the number.
        return power * 2.0**-22 / 3.0 + 2.0**-48 / 12.0
    if tensor.dtype in _ROUNDED and len(tensor.scales):
        return float(np.mean(np.square(tensor.scales))) / 12.0
    return 0.0


def _real(tensor: Tensor, stored: np.ndarray) -> np.ndarray:
    values = np.asarray(stored, np.float32)
    if not len(tensor.scales):
        return values
    shape = [1] * values.ndim
    if len(tensor.scales) > 1:
        shape[tensor.channel_axis] = -1
    zero_points = np.reshape(tensor.zero_points, shape)
    return (values - zero_points) * np.reshape(tensor.scales, shape)


def _step(graph: Graph, op: Op, known: dict[int, _Values]) -> None:
    """Carries the variances of an operator's inputs to its outputs."""
    read = [i for i in op.inputs if i in known]
    for output in op.outputs:
        if output not in known or not read:
            continue
        carried = _carried(graph, op, read, known, known[output])
        own = 0.0
        if not _moves_only(graph, op, output):
            own = _rounding(graph.tensors[output], known[output].power)
        known[output] = dataclasses.replace(
            known[output], variance=carried + own
        )


def _moves_only(graph: Graph, op: Op, output: int) -> bool:
    """Whether an operator hands stored values on as they are."""
    scale = graph.tensors[output].scales
    return op.name in _MOVES and all(
        np.array_equal(graph.tensors[i].scales, scale)
        for i in op.inputs
        if i >= 0 and len(graph.tensors[i].scales)
    )


def _carried(
    graph: Graph,
    op: Op,
    read: list[int],
    known: dict[int, _Values],
    out: _Values,
) -> float:
    variances = [known[i].variance for i in read]
    if op.name in _RECURRENT:
        return _RECURRENT_NOISE * out.power + max(variances)
    if op.name in _PRODUCTS and len(read) >= 2:
        return _carried_by_product(graph, op, known)
    if op.name in ("ADD", "SUB", "ADD_N"):
        return sum(variances)
    if op.name in ("MUL", "BATCH_MATMUL") and len(read) == 2:
        left, right = known[read[0]], known[read[1]]
        terms = left.variance * right.power + right.variance * left.power
        if op.name == "MUL":
            return terms
        depth = graph.tensors[read[0]].shape[-1]
        return depth * terms
    if op.name in ("SOFTMAX", "EXP"):
        return out.power * max(variances)
    return max(variances)


def _carried_by_product(
    graph: Graph, op: Op, known: dict[int, _Values]
) -> float:
    # A transposed convolution reads (shape, weights, input, bias), all others
    # (input, weights, bias).
    first, second = op.inputs[0], op.inputs[1]
    is_transposed = op.name == "TRANSPOSE_CONV"
    source = op.inputs[2] if is_transposed else first
    weights, activation = known[second], known[source]
    shape = graph.tensors[second].shape
    fan_in = float(np.prod([shape[axis] for axis in _PRODUCTS[op.name]]))
    own = 0.0
    quantized = graph.tensors[second].dtype in ("INT8", "INT4")
    if quantized and graph.tensors[source].dtype == "FLOAT32":
        own = (activation.span / 255.0) ** 2 / 12.0
    gain = fan_in * weights.power
    from_weights = fan_in * weights.variance * activation.power
    biases = op.inputs[3 if is_transposed else 2 :]
    from_bias = sum(known[i].variance for i in biases if i in known)
    return (activation.variance + own) * gain + from_weights + from_bias
