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
"""The buffers of a `.tflite` file, laid behind its tables.

A flatbuffer is built from its end, in memory that doubles as it grows, and
would hold every weight a second and a third time. A vector may lie anywhere
behind the table that refers to it, so the tables are built without the
buffers, which follow as they are.
"""

import struct
from typing import Any

import numpy as np

from tfmot_sapp.compiler.schema import schema_module

# What the format asks of the contents of a buffer.
_ALIGNMENT = 16
# Offsets in a flatbuffer are 32 bits wide, and the runtime takes half of it.
_MOST_BYTES = 2**31 - 1
_LENGTH_BYTES = 4


class _Buffer:
    """Stands in for the generated class `BufferT` when tables are built."""

    def __init__(self, contents: np.ndarray | None) -> None:
        self.contents = contents
        self.from_end = 0

    def Pack(self, builder: Any) -> int:  # noqa: N802
        """Builds the table, with a gap for the offset of the contents.

        Args:
            builder: The flatbuffer's builder.

        Returns:
            The table's offset.
        """
        schema = schema_module()
        schema.BufferStart(builder)
        if self.contents is not None:
            # Any number but the default, which would not be stored.
            builder.PrependUint32Slot(0, _LENGTH_BYTES, 0)
            self.from_end = builder.Offset()
        return schema.BufferEnd(builder)


class Buffers:
    """The buffers of one file; contents that are shared are stored once."""

    def __init__(self) -> None:
        # By the format's convention the first one is empty.
        self.tables = [_Buffer(None)]
        self._indices: dict[tuple[int, int], int] = {}

    def index(self, stored: np.ndarray | None) -> int:
        """Returns the index of a buffer, which is added if it's new.

        Args:
            stored: Flat uint8 array of its contents, `None` for none at all.
        """
        if stored is None:
            return 0
        contents = np.ascontiguousarray(stored).reshape(-1).view(np.uint8)
        # The array is kept, so no other one can come to lie in its place.
        address = contents.__array_interface__["data"][0]
        key = (address if contents.size else 0, contents.size)
        if key not in self._indices:
            self._indices[key] = len(self.tables)
            self.tables.append(_Buffer(contents))
        return self._indices[key]

    def lay_out(self, head: bytearray) -> list[bytearray | memoryview | bytes]:
        """Lays the contents behind the tables.

        Args:
            head: The flatbuffer of the tables; the offsets are filled in.

        Returns:
            The pieces of the file, the contents not copied.

        Raises:
            ValueError: If the file is larger than the format can be.
        """
        pieces: list[bytearray | memoryview | bytes] = [head]
        end = len(head)
        for buffer in self.tables:
            if buffer.contents is None:
                continue
            start = -(-(end + _LENGTH_BYTES) // _ALIGNMENT) * _ALIGNMENT
            size = buffer.contents.size
            length_at = start - _LENGTH_BYTES
            field = len(head) - buffer.from_end
            if start + size <= _MOST_BYTES:
                struct.pack_into("<I", head, field, length_at - field)
            pieces.append(bytes(length_at - end) + struct.pack("<I", size))
            pieces.append(buffer.contents.data)
            end = start + size
        if end > _MOST_BYTES:
            raise ValueError(
                "a `.tflite` file must have at most 2 GB (2,147,483,647 "
                f"bytes). Received: a graph that takes {end:,}. Store its "
                "weights in a narrower type, or split the model."
            )
        return pieces
