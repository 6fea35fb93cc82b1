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
"""Types of elements: their names, their width, and NumPy's type for each.

A type is named as LiteRT's format names it, in lower case: `"float32"`,
`"int4"`, `"string"`.
"""

import math

import numpy as np

# Bits of one element. Strings and handles of variables have no fixed width.
_BITS = {
    "float32": 32,
    "float16": 16,
    "float64": 64,
    "bfloat16": 16,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
    "int2": 2,
    "int4": 4,
    "int8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
    "uint4": 4,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "bool": 8,
    "complex64": 64,
    "complex128": 128,
}

# Little-endian, as the format stores them.
_NUMPY: dict[str, np.dtype] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "float64": np.dtype("<f8"),
    "int8": np.dtype("i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
    "uint64": np.dtype("<u8"),
    "bool": np.dtype("?"),
    "complex64": np.dtype("<c8"),
    "complex128": np.dtype("<c16"),
}
_NAMES = {dtype: name for name, dtype in _NUMPY.items()}


def numpy_dtype(name: str) -> np.dtype | None:
    """Returns NumPy's type for a type of elements, `None` if it has none."""
    return _NUMPY.get(name)


def dtype_name(dtype: np.dtype) -> str:
    """Returns the name of a NumPy type.

    Raises:
        ValueError: If no type of elements corresponds to it.
    """
    name = _NAMES.get(np.dtype(dtype).newbyteorder("<"))
    if name is None:
        raise ValueError(
            f"`dtype` must be one of {', '.join(_NUMPY)}. Received: {dtype}."
        )
    return name


def stored_bytes(name: str, shape: tuple[int, ...]) -> int | None:
    """Returns how many bytes a dense tensor takes.

    Narrow types are packed without gaps: two 4-bit elements a byte.

    Args:
        name: Type of the elements.
        shape: Its shape.

    Returns:
        The number of bytes, `None` for types without a fixed width.
    """
    bits = _BITS.get(name)
    return None if bits is None else -(-math.prod(shape) * bits // 8)
