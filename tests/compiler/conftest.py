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
"""What tests of the compiler share: LiteRT, and files of one operation."""

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from tfmot_sapp.compiler.ir.evaluate import evaluate
from tfmot_sapp.compiler.ir.graph import (
    ExternalBuffer,
    Graph,
    Metadata,
    Operation,
    Signature,
    Subgraph,
)
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.sparsity import SparseDimension, Sparsity
from tfmot_sapp.compiler.ir.values import (
    BlockwiseQuantization,
    CustomQuantization,
    MultiAxisQuantization,
    Quantization,
    Value,
    VariantType,
)
from tfmot_sapp.compiler.writers.tflite import write_tflite


def _interpreter(content, delegate=True):
    from ai_edge_litert import interpreter

    resolver = interpreter.OpResolverType
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interpreter.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=resolver.AUTO
            if delegate
            else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )


def _run(content, inputs, delegate=True):
    interpreter = _interpreter(content, delegate)
    details = interpreter.get_input_details()
    for detail, array in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(details, inputs):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [
        np.array(interpreter.get_tensor(detail["index"]))
        for detail in interpreter.get_output_details()
    ]


@pytest.fixture
def interpreter() -> Callable:
    """Makes LiteRT's interpreter of a file."""
    return _interpreter


@pytest.fixture
def run_litert() -> Callable:
    """Runs a file's main subgraph on a list of arrays."""
    return _run


def _single(kind, arrays, given, out, count, version, attributes):
    values = [
        None
        if array is None
        else Value(f"in{index}", array.shape, _dtype(array))
        if index in given
        else Value.constant(f"in{index}", array)
        for index, array in enumerate(arrays)
    ]
    outputs = [
        Value(f"out{index}", (), out or _dtype(arrays[given[0]]))
        for index in range(count)
    ]
    operation = make_operation(kind, values, outputs, version, **attributes)
    found = evaluate(operation, arrays)
    for value, array in zip(outputs, found, strict=True):
        value.shape = array.shape
    inputs = [values[index] for index in given]
    subgraph = Subgraph("main", inputs, outputs, [operation])
    signature = Signature(
        "serving_default",
        subgraph,
        {value.name: value for value in inputs},
        {value.name: value for value in outputs},
    )
    return Graph([subgraph], [signature]), found


def _dtype(array):
    return array.dtype.name


def _check(
    kind,
    *arrays,
    given=(0,),
    out=None,
    count=1,
    version=None,
    tolerance=1e-5,
    **attributes,
):
    graph, found = _single(kind, arrays, given, out, count, version, attributes)
    content = write_tflite(graph)
    for delegate in (False, True):
        inputs = [arrays[index] for index in given]
        ran = _run(content, inputs, delegate)
        for ours, theirs in zip(found, ran, strict=True):
            assert ours.shape == theirs.shape
            assert ours.dtype == theirs.dtype
            scale = np.abs(theirs).max(initial=1) if theirs.size else 1
            np.testing.assert_allclose(
                ours, theirs, rtol=tolerance, atol=tolerance * float(scale)
            )


@pytest.fixture
def check_meaning() -> Callable:
    """Compares what NumPy and LiteRT compute for one operation.

    It takes the kind, the arrays that are read and the options, then `given`:
    which of the arrays are inputs of the file, the others being constants.
    """
    return _check


def _strings(*texts):
    ends = np.cumsum([0, *map(len, texts)]) + 4 * (len(texts) + 2)
    numbers = np.array([len(texts), *ends], "<i4")
    return np.frombuffer(numbers.tobytes() + b"".join(texts), np.uint8)


def _quantized_values(generator):
    """Weights with every kind of quantization that the format has."""
    scales = Value.constant("scales", np.ones((4, 2), np.float16))
    details = {
        "blocks": BlockwiseQuantization(scales, None, 32, (1, 4)),
        "axes": MultiAxisQuantization(scales, scales, 0, (0, 1)),
        "own": CustomQuantization(b"scheme"),
    }
    values = [
        Value(
            name,
            (4, 8),
            "int4",
            stored=generator.integers(0, 255, 16).astype(np.uint8),
            quantization=Quantization(details=detail),
        )
        for name, detail in details.items()
    ]
    channels = Quantization(
        scale=np.array([0.5, 0.25, 1, 2], np.float32),
        zero_point=np.zeros(4, np.int64),
        minimum=np.full(4, -1, np.float32),
        maximum=np.full(4, 1, np.float32),
        axis=0,
    )
    weights = generator.integers(-9, 9, (4, 8)).astype(np.int8)
    return [*values, Value.constant("channels", weights, channels)]


def _sparse_value():
    """A 4 by 4 matrix of which two blocks of 2 by 2 are stored."""
    sparsity = Sparsity(
        traversal_order=(0, 1, 2, 3),
        block_map=(0, 1),
        dimensions=(
            SparseDimension(2),
            SparseDimension(
                0, np.array([0, 1, 2], np.uint8), np.array([1, 0], np.uint16)
            ),
            SparseDimension(2),
            SparseDimension(2),
        ),
    )
    stored = np.arange(8, dtype=np.float32).view(np.uint8)
    return Value("sparse", (4, 4), "float32", stored, sparsity=sparsity)


def _every_feature():
    generator = np.random.default_rng(0)
    x = Value("x", (None, 8), "float32")
    y = Value("y", (None, 4), "float32", allocated=(3, 4))
    state = Value("state", (1, 4), "float32", is_variable=True, has_rank=True)
    outside = Value("outside", (4, 8), "float32", external_buffer=7)
    held = VariantType((2, 3), "float32", True)
    listed = Value("list", (), "variant", variants=(held,))
    text = Value("text", (2,), "string", _strings(b"left", b"right"))
    empty = Value.constant("empty", np.zeros(0, np.int32))
    custom = Operation(
        kind="CUSTOM",
        inputs=[
            *_quantized_values(generator),
            _sparse_value(),
            state,
            outside,
            text,
            empty,
            None,
        ],
        outputs=[listed],
        custom_code="Vendor\udcffOperator",
        custom_options=np.arange(13, dtype=np.uint8),
        version=3,
        intermediates=[Value("inside", (4,), "int8"), None],
        mutating_inputs=(False,) * 9 + (True,),
        debug_index=5,
    )
    weights = generator.normal(size=(4, 8)).astype(np.float32)
    w = Value.constant("w", weights)
    again = Value("w_again", (8, 4), "float32", stored=w.stored)
    layer = make_operation(
        "FULLY_CONNECTED",
        [x, w, None],
        [y],
        version=9,
        fused_activation_function="RELU",
        quantized_bias_type="int32",
    )
    a, b = Value("a", (8, 4), "float32"), Value("b", (8, 4), "float32")
    inner = Subgraph("inner", [a], [b], [make_operation("ABS", [a], [b])])
    z = Value("z", (8, 4), "float32")
    composite = Operation(
        kind="STABLEHLO_COMPOSITE",
        inputs=[again],
        outputs=[z],
        attributes={
            "name": "vendor.abs",
            "composite_attributes": b"\x01\x02",
            "version": 2,
        },
        options="StableHLOCompositeOptions",
        regions={"decomposition": (inner,)},
    )
    main = Subgraph(
        "main", [x], [y, z, listed], [custom, layer, composite], debug_index=2
    )
    contents = np.frombuffer(b"a label", np.uint8)
    return Graph(
        subgraphs=[main, inner],
        signatures=[
            Signature("serve", main, {"in": x}, {"out": y, "more": z}),
            Signature("inner", inner, {"a": a}, {"b": b}),
        ],
        metadata=[Metadata("labels", contents), Metadata("twice", contents)],
        description="everything that the format has",
        external_files=["weights.bin"],
        external_buffers=[ExternalBuffer(7, 0, 64, 128, "plain")],
        unnamed_metadata=[contents],
        associated_files={"labels.txt": b"cat\ndog\n", "b.bin": bytes(99)},
    )


@pytest.fixture
def every_feature() -> Callable:
    """Makes a graph with all that the format can hold."""
    return _every_feature


def _assert_same(ours, theirs, place, met):
    assert type(ours) is type(theirs), place
    if id(ours) in met:
        # What is shared on one side is shared on the other.
        assert met[id(ours)] is theirs, place
    elif dataclasses.is_dataclass(ours):
        met[id(ours)] = theirs
        for field in dataclasses.fields(ours):
            if field.name != "values":
                name = field.name
                parts = getattr(ours, name), getattr(theirs, name)
                _assert_same(*parts, f"{place}.{name}", met)
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype, place
        np.testing.assert_array_equal(ours, theirs, place)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), place
        for key, part in ours.items():
            _assert_same(part, theirs[key], f"{place}[{key!r}]", met)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), place
        for index, parts in enumerate(zip(ours, theirs)):
            _assert_same(*parts, f"{place}[{index}]", met)
    else:
        assert ours == theirs, place


@pytest.fixture
def assert_same_graph() -> Callable:
    """Asserts that two graphs hold the same, in the same order."""
    return lambda ours, theirs: _assert_same(ours, theirs, "graph", {})
