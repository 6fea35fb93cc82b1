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
"""Reading the operators of a `.tflite` file."""

import dataclasses
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.make import options_table
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.flatbuffer import Damage, FlatbufferReader
from tfmot_sapp.compiler.readers.tflite_values import value_at
from tfmot_sapp.compiler.schema import (
    REGIONS,
    enum_names,
    option_enumeration,
    option_fields,
    schema_module,
)


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorCode:
    """What an operator is: an entry of the file's table of operators.

    Attributes:
        kind: Its name in the format, such as `"CONV_2D"`.
        version: Its version.
        custom_code: Name of a custom operator.
    """

    kind: str
    version: int
    custom_code: str


def read_operator_codes(
    reader: FlatbufferReader, model: Any
) -> list[OperatorCode]:
    """Reads the table of operators.

    Args:
        reader: The file.
        model: Object of the generated class `Model`.
    """
    names = enum_names("BuiltinOperator")
    codes = []
    for code in reader.tables(model, "OperatorCodes", "OperatorCode"):
        # Files of before 2020 have the code in the older, one-byte field.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number not in names:
            raise Damage(f"it has the operator {number}, which is not known")
        custom_code = reader.text(code, "CustomCode")
        codes.append(OperatorCode(names[number], code.Version(), custom_code))
    return codes


def read_operations(
    reader: FlatbufferReader,
    table: Any,
    values: list[Value],
    codes: list[OperatorCode],
    subgraphs: list[Subgraph],
) -> list[Operation]:
    """Reads the operators of a subgraph.

    Args:
        reader: The file.
        table: Object of the generated class `SubGraph`.
        values: Its values in the order of the file.
        codes: The file's table of operators.
        subgraphs: The file's subgraphs, which regions refer to.

    Returns:
        The operations in the order of execution.
    """
    return [
        _read_operation(reader, operator, values, codes, subgraphs)
        for operator in reader.tables(table, "Operators", "Operator")
    ]


def _read_operation(
    reader: FlatbufferReader,
    operator: Any,
    values: list[Value],
    codes: list[OperatorCode],
    subgraphs: list[Subgraph],
) -> Operation:
    index = operator.OpcodeIndex()
    if index >= len(codes):
        raise Damage(f"it refers to operator code {index} of {len(codes)}")
    code = codes[index]
    options, attributes = _read_options(reader, operator)
    if options not in (None, options_table(code.kind) or options):
        raise Damage(f"its operator {code.kind} has the options {options}")
    outputs = reader.numbers(operator, "Outputs") or ()
    return Operation(
        kind=code.kind,
        inputs=_read_optional_values(reader, operator, "Inputs", values),
        outputs=[value_at(values, i) for i in outputs],
        attributes=attributes,
        options=options,
        version=code.version,
        regions=_take_regions(attributes, subgraphs),
        custom_code=code.custom_code,
        custom_options=_read_custom_options(reader, operator),
        intermediates=_read_optional_values(
            reader, operator, "Intermediates", values
        ),
        mutating_inputs=reader.numbers(operator, "MutatingVariableInputs"),
        debug_index=operator.DebugMetadataIndex(),
    )


def _read_optional_values(
    reader: FlatbufferReader, operator: Any, field: str, values: list[Value]
) -> list[Value | None]:
    indices = reader.numbers(operator, field) or ()
    return [None if i == -1 else value_at(values, i) for i in indices]


def _read_custom_options(
    reader: FlatbufferReader, operator: Any
) -> np.ndarray | None:
    size = operator.LargeCustomOptionsSize()
    if operator.LargeCustomOptionsOffset() > 1 and size:
        # Kept behind the flatbuffer.
        return outside_bytes(reader, operator.LargeCustomOptionsOffset(), size)
    return reader.vector(operator, "CustomOptions")


def outside_bytes(
    reader: FlatbufferReader, offset: int, size: int
) -> np.ndarray:
    """Returns bytes that a file holds behind its flatbuffer.

    Args:
        reader: The file.
        offset: The first byte.
        size: Number of bytes.

    Raises:
        Damage: If they lie outside of the file.
    """
    if offset + size > len(reader.content):
        raise Damage(f"it refers to {size} bytes at {offset}, behind its end")
    found = np.frombuffer(reader.content, np.uint8, size, offset)
    reader.reach(found)
    return found


def _read_options(
    reader: FlatbufferReader, operator: Any
) -> tuple[str | None, dict[str, Any]]:
    for enumeration, number, union in (
        (
            "BuiltinOptions",
            operator.BuiltinOptionsType(),
            operator.BuiltinOptions(),
        ),
        (
            "BuiltinOptions2",
            operator.BuiltinOptions2Type(),
            operator.BuiltinOptions2(),
        ),
    ):
        if not number or union is None:
            continue
        kind = enum_names(enumeration).get(number)
        if kind is None:
            raise Damage(f"it has the options {number}, which are not known")
        reader.table_at(union.Pos, kind)
        return kind, _read_attributes(reader, union, kind)
    return None, {}


def _read_attributes(
    reader: FlatbufferReader, union: Any, kind: str
) -> dict[str, Any]:
    generated = getattr(schema_module(), f"{kind}T")
    stored = generated.InitFromBuf(union.Bytes, union.Pos)
    return {
        option: _read_attribute(reader, kind, option, getattr(stored, field))
        for option, field in option_fields(kind).items()
    }


def _read_attribute(
    reader: FlatbufferReader, kind: str, option: str, stored: Any
) -> Any:
    enumeration = option_enumeration(kind, option)
    if enumeration is not None:
        names = enum_names(enumeration)
        if stored not in names:
            raise Damage(
                f"its {kind} have {stored} as {option}, which is not known"
            )
        return names[stored]
    if isinstance(stored, np.ndarray):
        reader.reach(stored)
        if stored.dtype == np.uint8:
            reader.charge(stored.size)
            return bytes(stored)
        return reader.as_tuple(stored)
    if isinstance(stored, bytes):
        return reader.option_text(stored)
    return stored


def _take_regions(
    attributes: dict[str, Any], subgraphs: list[Subgraph]
) -> dict[str, tuple[Subgraph, ...]]:
    regions = {}
    for option, region in REGIONS.items():
        indices = attributes.pop(option, None)
        if indices is None:
            continue
        if isinstance(indices, int):
            indices = (indices,)
        for index in indices:
            if not 0 <= index < len(subgraphs):
                raise Damage(
                    f"it refers to subgraph {index} of {len(subgraphs)}"
                )
        regions[region] = tuple(subgraphs[index] for index in indices)
    return regions
