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
"""Reading tables of a flatbuffer that may be damaged.

The generated accessors trust a file: an offset may point anywhere, a length
may be anything, and many offsets may point to the same large table. Here every
table is checked before it is used, and what is read is charged to an allowance
in proportion to the file, so that a damaged file ends in an error and neither
in a hang nor in exhausted memory.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from flatbuffers.table import Table

from tfmot_sapp.base.private_flatbuffers import set_table, table_of
from tfmot_sapp.compiler.schema import field_count

# What the objects that are made of one table or one number take in memory,
# roughly; and what a small file may take whatever its size.
_TABLE_BYTES = 400
_NUMBER_BYTES = 8
_ALLOWANCE_FACTOR = 10
_LEAST_ALLOWANCE = 8 << 20


class Damage(ValueError):
    """A reason why a file can't be read, to be told to the user."""


class FlatbufferReader:
    """Reads from one file.

    Args:
        content: The file's bytes.
    """

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self._allowance = _LEAST_ALLOWANCE + _ALLOWANCE_FACTOR * len(content)
        self._fields: dict[tuple[int, str], tuple[int, ...]] = {}
        self._start = _address(np.frombuffer(content, np.uint8))
        self._end = 0
        self._text_bytes = 0

    def unread(self) -> tuple[int, int]:
        """Returns where the part begins that nothing read refers to.

        Returns:
            The first byte behind all tables, vectors and strings, and the
            first one behind the strings of options, too, wherever they lie.
        """
        return self._end, self._end + self._text_bytes

    def charge(self, amount: int) -> None:
        """Counts memory that reading takes.

        Args:
            amount: Bytes.

        Raises:
            Damage: If the file can't rightly need that much.
        """
        self._allowance -= amount
        if self._allowance < 0:
            raise Damage("its tables hold more than the file has room for")

    def table(self, table: Any, kind: str) -> Any:
        """Checks a table.

        Args:
            table: Object of the generated class.
            kind: Name of the table in the schema.

        Returns:
            The same object.

        Raises:
            Damage: If it doesn't lie in the file as a table must, or has
                fields that the schema does not know.
        """
        position = table_of(table).Pos
        fields = self.table_at(position, kind)
        set_table(table, _CheckedTable(self.content, position, fields))
        return table

    def table_at(self, position: int, kind: str) -> tuple[int, ...]:
        """Checks the table at a position, as `table` does.

        Args:
            position: Its first byte.
            kind: Name of the table in the schema.

        Returns:
            Where its fields lie in it, 0 for one that is left out.
        """
        self.charge(_TABLE_BYTES)
        (back,) = struct.unpack_from("<i", self.content, position)
        start = position - back
        if start < 0:
            raise Damage(f"a table of kind {kind} begins outside of it")
        size, extent = struct.unpack_from("<HH", self.content, start)
        if position + extent > len(self.content):
            raise Damage(f"a table of kind {kind} ends outside of it")
        self._end = max(self._end, position + extent, start + size)
        # Tables with the same fields share the list of them.
        key = start, kind
        if key not in self._fields:
            self._fields[key] = self._read_fields(start, kind)
        return self._fields[key]

    def _read_fields(self, start: int, kind: str) -> tuple[int, ...]:
        size, extent = struct.unpack_from("<HH", self.content, start)
        if size < 4 or size % 2 or extent < 4:
            raise Damage(f"a table of kind {kind} has an impossible size")
        layout = f"<{size // 2 - 2}H"
        fields = struct.unpack_from(layout, self.content, start + 4)
        if any(offset >= extent for offset in fields):
            raise Damage(f"a field of a table of kind {kind} lies outside it")
        if any(fields[field_count(kind) :]):
            raise Damage(
                f"a table of kind {kind} has fields that the installed version "
                "of the format does not know"
            )
        self.charge(len(fields) * _NUMBER_BYTES)
        return fields

    def tables(self, parent: Any, field: str, kind: str) -> Iterator[Any]:
        """Reads a vector of tables.

        Args:
            parent: Object of the generated class that has the vector.
            field: Name of the vector in that class.
            kind: Name of the tables in the schema.

        Yields:
            An object of the generated class for each table.
        """
        get = getattr(parent, field)
        for index in range(self.length(parent, field, 4)):
            yield self.table(get(index), kind)

    def length(self, parent: Any, field: str, width: int) -> int:
        """Returns the number of elements of a vector.

        Args:
            parent: Object of the generated class that has the vector.
            field: Name of the vector in that class.
            width: Bytes of an element.

        Raises:
            Damage: If it is longer than the file.
        """
        count = getattr(parent, f"{field}Length")()
        if count * width > len(self.content):
            raise Damage(f"its vector `{field}` is longer than the file")
        return count

    def vector(self, parent: Any, field: str) -> np.ndarray | None:
        """Reads a vector of numbers.

        Args:
            parent: Object of the generated class that has the vector.
            field: Name of the vector in that class.

        Returns:
            A view of the file, `None` if there is no such vector.

        Raises:
            Damage: If it ends outside of the file.
        """
        if getattr(parent, f"{field}IsNone")():
            return None
        try:
            vector = getattr(parent, f"{field}AsNumpy")()
        except ValueError as error:
            raise Damage(f"its vector `{field}` ends outside of it") from error
        self.reach(vector)
        return vector

    def reach(self, vector: np.ndarray) -> None:
        """Takes note of a part of the file that was read.

        Args:
            vector: A view of it.
        """
        end = _address(vector) + vector.nbytes - self._start
        self._end = max(self._end, end)

    def numbers(self, parent: Any, field: str) -> tuple[Any, ...] | None:
        """Reads a vector of numbers as Python's.

        Args:
            parent: Object of the generated class that has the vector.
            field: Name of the vector in that class.

        Returns:
            The numbers, `None` if there is no such vector.
        """
        vector = self.vector(parent, field)
        return None if vector is None else self.as_tuple(vector)

    def as_tuple(self, vector: np.ndarray) -> tuple[Any, ...]:
        """Turns a vector into Python's numbers.

        Args:
            vector: The vector.
        """
        self.charge(vector.size * _NUMBER_BYTES)
        return tuple(vector.tolist())

    def text(self, parent: Any, field: str) -> str:
        """Reads a string; bytes that are no text come out of it unchanged.

        Args:
            parent: Object of the generated class that has the string.
            field: Name of the string in that class.

        Returns:
            The string, empty if there is none.
        """
        return self.optional_text(parent, field) or ""

    def optional_text(self, parent: Any, field: str) -> str | None:
        """Reads a string, as `text` does.

        Args:
            parent: Object of the generated class that has the string.
            field: Name of the string in that class.

        Returns:
            The string, `None` if there is none.
        """
        stored = getattr(parent, field)()
        self._end = max(self._end, table_of(parent).text_end)
        return None if stored is None else self._decode(stored)

    def option_text(self, stored: bytes) -> str:
        """Decodes a string of an operator's options, as `text` does.

        Args:
            stored: Its bytes.
        """
        # With its length, its end and up to 3 bytes that align it.
        self._text_bytes += len(stored) + 8
        return self._decode(stored)

    def _decode(self, stored: bytes) -> str:
        self.charge(len(stored))
        return stored.decode("utf-8", "surrogateescape")


class _CheckedTable(Table):
    """A table whose fields are known, which the generated classes read from.

    They would look up where its fields lie at every access, and don't tell
    where strings end.
    """

    __slots__ = ("fields", "text_end")

    def __init__(
        self, content: Any, position: int, fields: tuple[int, ...]
    ) -> None:
        super().__init__(content, position)
        self.fields = fields
        self.text_end = 0

    def Offset(self, slot: int) -> int:  # noqa: N802
        index = slot // 2 - 2
        return self.fields[index] if index < len(self.fields) else 0

    def Get(self, flags: Any, place: int) -> Any:  # noqa: N802
        (number,) = flags.packer_type.unpack_from(self.Bytes, place)
        return flags.py_type(number)

    def String(self, place: int) -> bytes:  # noqa: N802
        stored = super().String(place)
        (offset,) = struct.unpack_from("<I", self.Bytes, place)
        self.text_end = place + offset + 4 + len(stored)
        return stored


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
