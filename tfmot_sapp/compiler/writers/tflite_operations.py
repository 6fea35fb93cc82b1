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
"""Writing operations as the operators of a `.tflite` file."""

from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.schema import (
    REGIONS,
    enum_numbers,
    new_table,
    option_enumeration,
    option_fields,
)
from tfmot_sapp.compiler.writers.tflite_values import encode

# The older field for an operator's number has one byte; files for operators
# beyond it say so there, for runtimes of before 2020.
_GREATER = "PLACEHOLDER_FOR_GREATER_OP_CODES"


class OperatorCodes:
    """The table of operators of one file."""

    def __init__(self) -> None:
        self.tables: list[Any] = []
        self._indices: dict[tuple[str, str, int], int] = {}

    def index(self, operation: Operation) -> int:
        """Returns the index of an operation's entry, which is added if new.

        Args:
            operation: The operation.

        Raises:
            ValueError: If the format has no such operator.
        """
        key = (operation.kind, operation.custom_code, operation.version)
        if key not in self._indices:
            self._indices[key] = len(self.tables)
            self.tables.append(_operator_code(operation))
        return self._indices[key]


def _operator_code(operation: Operation) -> Any:
    numbers = enum_numbers("BuiltinOperator")
    if operation.kind not in numbers:
        raise ValueError(
            "`kind` of an operation must be an operator of the format, such "
            f"as 'CONV_2D'. Received: {operation.kind!r}."
        )
    number = numbers[operation.kind]
    code = new_table("OperatorCode")
    code.builtinCode = number
    code.deprecatedBuiltinCode = min(number, numbers[_GREATER])
    code.version = operation.version
    if operation.custom_code:
        code.customCode = encode(operation.custom_code)
    return code


def write_operation(
    operation: Operation,
    codes: OperatorCodes,
    indices: dict[Value, int],
    subgraph_indices: dict[Subgraph, int],
) -> Any:
    """Makes the operator of an operation.

    Args:
        operation: The operation.
        codes: The file's table of operators.
        indices: The indices of the values of the subgraph.
        subgraph_indices: The indices of the subgraphs.

    Returns:
        Object of the generated class `OperatorT`.

    Raises:
        ValueError: If the format does not have the operator or an option.
    """
    operator = new_table("Operator")
    operator.opcodeIndex = codes.index(operation)
    operator.inputs = _optional(operation.inputs, indices)
    operator.outputs = [indices[value] for value in operation.outputs]
    if operation.intermediates:
        operator.intermediates = _optional(operation.intermediates, indices)
    if operation.options is not None:
        _write_options(operator, operation, subgraph_indices)
    if operation.custom_options is not None:
        operator.customOptions = np.asarray(operation.custom_options, np.uint8)
    if operation.mutating_inputs is not None:
        operator.mutatingVariableInputs = list(operation.mutating_inputs)
    operator.debugMetadataIndex = operation.debug_index
    return operator


def _optional(
    values: list[Value | None], indices: dict[Value, int]
) -> list[int]:
    return [-1 if value is None else indices[value] for value in values]


def _write_options(
    operator: Any, operation: Operation, subgraph_indices: dict[Subgraph, int]
) -> None:
    kind = operation.options
    assert kind is not None
    table = new_table(kind)
    fields = option_fields(kind)
    for option, setting in operation.attributes.items():
        if option not in fields or option in REGIONS:
            raise ValueError(
                f"`attributes` of {operation.kind} must be options of {kind}: "
                f"{', '.join(fields)}. Received: {option!r}."
            )
        setattr(table, fields[option], _stored(kind, option, setting))
    for option, field in fields.items():
        region = operation.regions.get(REGIONS.get(option, ""))
        if region is not None:
            chosen = [subgraph_indices[subgraph] for subgraph in region]
            is_list = isinstance(getattr(table, field), list | None)
            setattr(table, field, chosen if is_list else chosen[0])
    number = enum_numbers("BuiltinOptions").get(kind)
    if number is not None:
        operator.builtinOptionsType, operator.builtinOptions = number, table
    else:
        operator.builtinOptions2Type = enum_numbers("BuiltinOptions2")[kind]
        operator.builtinOptions2 = table


def _stored(kind: str, option: str, setting: Any) -> Any:
    enumeration = option_enumeration(kind, option)
    if enumeration is not None:
        numbers = enum_numbers(enumeration)
        if setting not in numbers:
            raise ValueError(
                f"`{option}` of {kind} must be one of {', '.join(numbers)}. "
                f"Received: {setting!r}."
            )
        return numbers[setting]
    if isinstance(setting, bytes):
        return np.frombuffer(setting, np.uint8)
    if isinstance(setting, str):
        return encode(setting)
    return list(setting) if isinstance(setting, tuple) else setting
