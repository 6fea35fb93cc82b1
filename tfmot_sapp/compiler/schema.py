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
"""The names in LiteRT's format, as the graph spells them.

The format's schema is a generated module that comes with LiteRT or TensorFlow;
it is loaded when a file is read or written. Its Python classes spell an option
`strideH`, the format `stride_h`; the graph spells it as the format does.
"""

import functools
import importlib.util
import re
from types import ModuleType
from typing import Any

# Options that are numbers of an enumeration, and stand in the graph as names.
_ENUMERATIONS = {
    "combiner": "CombinerType",
    "fused_activation_function": "ActivationFunctionType",
    "idx_out_type": "TensorType",
    "in_data_type": "TensorType",
    "key_dtype": "TensorType",
    "out_data_type": "TensorType",
    "out_type": "TensorType",
    "output_type": "TensorType",
    "quantized_bias_type": "TensorType",
    "value_dtype": "TensorType",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
}
# Those that only some tables of options have under this name.
_ENUMERATIONS_OF_TABLES = {
    ("MirrorPadOptions", "mode"): "MirrorPadMode",
    **{
        (table, "padding"): "Padding"
        for table in (
            "Conv2DOptions",
            "Conv3DOptions",
            "DepthwiseConv2DOptions",
            "Pool2DOptions",
            "TransposeConvOptions",
        )
    },
}
# Options that are indices of subgraphs, and stand in the graph as regions.
REGIONS = {
    "body_subgraph_index": "body",
    "branch_subgraph_indices": "branches",
    "called_computations": "called",
    "comparator_subgraph_index": "comparator",
    "cond_subgraph_index": "cond",
    "decomposition_subgraph_index": "decomposition",
    "else_subgraph_index": "else",
    "init_subgraph_index": "init",
    "subgraph": "callee",
    "then_subgraph_index": "then",
    "update_computation_subgraph_index": "update",
}


@functools.cache
def schema_module() -> ModuleType:
    """Returns the generated classes of the format.

    Raises:
        ImportError: If neither LiteRT nor TensorFlow is installed.
    """
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert import schema_py_generated as schema

        return schema
    if importlib.util.find_spec("tensorflow") is not None:
        from tfmot_sapp.frameworks.private import tensorflow as private

        return private.schema_module()
    raise ImportError(
        "reading and writing `.tflite` files needs `ai-edge-litert` or "
        "`tensorflow`: pip install ai-edge-litert."
    )


@functools.cache
def enum_names(enumeration: str) -> dict[int, str]:
    """Returns the names of an enumeration of the format by their numbers.

    Types of elements are in lower case, as in the graph.
    """
    members = vars(getattr(schema_module(), enumeration))
    lower = enumeration == "TensorType"
    return {
        number: name.lower() if lower else name
        for name, number in members.items()
        if isinstance(number, int) and not name.startswith("_")
    }


@functools.cache
def enum_numbers(enumeration: str) -> dict[str, int]:
    """Returns the numbers of an enumeration of the format by their names."""
    return {name: number for number, name in enum_names(enumeration).items()}


def option_enumeration(table: str, option: str) -> str | None:
    """Returns the enumeration whose names an option has, if it has one.

    Args:
        table: Name of the table of options.
        option: Name of the option in it.
    """
    found = _ENUMERATIONS_OF_TABLES.get((table, option))
    return found or _ENUMERATIONS.get(option)


@functools.cache
def option_fields(table: str) -> dict[str, str]:
    """Returns the fields of a table of options.

    Args:
        table: Name of the table, such as `"Conv2DOptions"`.

    Returns:
        Dictionary from the names in the format to those of the generated
        class.
    """
    fields = vars(new_table(table))
    return {_snake_case(field): field for field in fields}


def new_table(table: str) -> Any:
    """Makes an object of the generated class, all of its fields defaults.

    Args:
        table: Name of the table, such as `"Conv2DOptions"`.
    """
    return getattr(schema_module(), f"{table}T")()


@functools.cache
def field_count(table: str) -> int:
    """Returns how many fields the schema has for a table.

    Args:
        table: Name of the table, such as `"Conv2DOptions"`.
    """
    recorder = _FieldRecorder()
    getattr(schema_module(), f"{table}Start")(recorder)
    return recorder.count


class _FieldRecorder:
    """Stands in for a builder: the schema tells only a builder the number."""

    count = 0

    def StartObject(self, count: int) -> None:  # noqa: N802
        self.count = count


def _snake_case(name: str) -> str:
    words = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    return re.sub(words, "_", name).lower()
