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
"""Converts a large model with its kernels standing apart.

TensorFlow's converter holds every weight five times, and most of its time goes
into arranging them. Here it is given a model whose large kernels are arguments,
so that it sees no more than their shapes. What it has written is read, the
arguments become constants, and what it would have done with them is done.
"""

import math
import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.base.temporary_paths import temporary_folder
from tfmot_sapp.compiler.ir.graph import Graph, Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.passes.arrange_constants import arrange_constants
from tfmot_sapp.compiler.passes.complete_products import complete_products
from tfmot_sapp.compiler.readers.function_graph import FunctionGraph
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export.serving import SIGNATURE, Serving, save_function
from tfmot_sapp.targets.target import Target

# Bytes of the kernels that stand apart: the smallest, and all together.
_LARGE = 1 << 20
_WORTH_IT = 1 << 26
# Fewest bytes of constants that are looked for a second time.
_SHARED = 1 << 12

# TensorFlow's operations that multiply matrices, what a kernel may go through
# before, and a product after.
_MULTIPLY = frozenset({"BatchMatMulV2", "Einsum", "MatMul"})
_ARRANGE = frozenset({"Identity", "Reshape", "Transpose"})
_FOLLOW = frozenset({"AddV2", "BiasAdd", "Identity", "Reshape"})
_RECTIFY = frozenset({"Relu", "Relu6"})


def convert_apart(
    serving: Serving, target: Target, worth_it: int = _WORTH_IT
) -> bytes | None:
    """Converts a model to the bytes of a float32 file, if it is a large one.

    Args:
        serving: The model.
        target: What packed layers are written for.
        worth_it: Bytes that large kernels must have together.

    Returns:
        The bytes, which nobody has checked yet; `None` for a smaller model,
        and for one that can't be converted in this way.
    """
    if sum(map(_bytes, serving.model.weights)) < worth_it:
        return None
    graph = FunctionGraph(serving.trace(target.operators(None)))
    least = min(_LARGE, worth_it)
    kernels = {
        id(variable): variable
        for variable in graph.reads().values()
        if variable.dtype == tf.float32
        and len(variable.shape) > 1
        and _bytes(variable) >= least
    }
    if sum(map(_bytes, kernels.values())) < worth_it:
        return None
    try:
        return _without(serving, graph, list(kernels.values()))
    except Exception:
        # Whatever the converter makes of this, it may do the rest by itself.
        return None


def _without(
    serving: Serving, graph: FunctionGraph, kernels: list[Any]
) -> bytes:
    given = {
        _unused(f"kernel_{number}", serving.specs): variable
        for number, variable in enumerate(kernels)
    }
    for name, variable in given.items():
        graph.give(variable, name)
    zero = _unused("zero", serving.specs)
    graph.shift(_rectified(graph.definition, set(given)), zero)
    converted = read_tflite(_converted(serving, graph))
    shift = _fill_in(converted, given, zero)
    arrange_constants(converted.main)
    complete_products(converted)
    _drop(converted.main, shift)
    _share(converted)
    return write_tflite(converted)


def _converted(serving: Serving, graph: FunctionGraph) -> bytes:
    with temporary_folder() as folder:
        save_function(graph.trace(), graph.variables(), serving.model, folder)
        with quiet():
            converter = tf.lite.TFLiteConverter.from_saved_model(
                os.fspath(folder), signature_keys=[SIGNATURE]
            )
            return converter.convert()


def _rectified(definition: Any, kernels: set[str]) -> set[str]:
    """The nodes in front of a ReLU that come from products with arguments.

    The converter loses the ReLU where nothing else stands between.
    """
    found, arranged, made = set(), set(kernels), set()
    for node in definition.node:
        first, *others = [name.partition(":")[0] for name in node.input] or [""]
        if node.op in _ARRANGE and first in arranged:
            arranged.add(node.name)
        if node.op in _MULTIPLY and arranged.intersection([first, *others]):
            made.add(node.name)
        if node.op in _FOLLOW and first in made:
            made.add(node.name)
        if node.op in _RECTIFY and first in made:
            found.add(first)
    return found


def _fill_in(converted: Graph, given: dict[str, Any], zero: str) -> Value:
    """Makes constants of the arguments; returns the zero."""
    (signature,) = converted.signatures
    for name in (*given, zero):
        value = signature.inputs.pop(name)
        converted.main.inputs.remove(value)
        if name == zero:
            array = np.zeros((), np.float32)
        else:
            # A view of the variable's own memory.
            array = np.asarray(memoryview(given[name].read_value()))
            value.name = given[name].name
        value.stored = Value.constant(value.name, array).stored
    return value


def _drop(subgraph: Subgraph, zero: Value) -> None:
    """Leaves out what only adds zero."""
    same: dict[Value, Value] = {}
    kept = []
    for operation in subgraph.operations:
        operation.inputs = [
            None if value is None else same.get(value, value)
            for value in operation.inputs
        ]
        made = operation.outputs[0]
        if (
            zero in operation.inputs
            and operation.attributes["fused_activation_function"] == "NONE"
            and made not in subgraph.outputs
        ):
            (x,) = (v for v in operation.inputs if v not in (None, zero))
            same[made] = x
        else:
            kept.append(operation)
    subgraph.operations = kept


def _share(converted: Graph) -> None:
    """Lets large constants with the same contents be stored once."""
    by_size: dict[int, list[np.ndarray]] = {}
    for value in converted.main.used_values():
        if value.stored is None or value.stored.size < _SHARED:
            continue
        known = by_size.setdefault(value.stored.size, [])
        for array in known:
            if np.array_equal(array, value.stored):
                value.stored = array
                break
        else:
            known.append(value.stored)


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * tf.as_dtype(variable.dtype).size


def _unused(name: str, names: dict[str, tf.TensorSpec]) -> str:
    while name in names:
        name += "_"
    return name
