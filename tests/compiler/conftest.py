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
from tfmot_sapp.compiler.ir.graph import Graph, Signature, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value
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
        assert list(ours) == list(theirs), place
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
