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
"""What a `.tflite` file can be: the choices, checked before any work."""

import numbers
from typing import Any

import numpy as np

QUANTIZE = (None, "float16", "dynamic_int8", "int8")
ENCODINGS = (None, "sparse")
IO_DTYPES = ("float32", "int8")


def check_options(quantize: Any, encoding: Any, io_dtype: Any) -> None:
    """Checks the arguments that choose a format.

    Args:
        quantize: As in `export_tflite`.
        encoding: As in `export_tflite`.
        io_dtype: As in `export_tflite`.

    Raises:
        TypeError: If one isn't a string.
        ValueError: If one is unknown, or they don't go together.
    """
    for name, value, allowed in (
        ("quantize", quantize, QUANTIZE),
        ("encoding", encoding, ENCODINGS),
        ("io_dtype", io_dtype, IO_DTYPES),
    ):
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"`{name}` must be one of {allowed}. Received: "
                f"{name}={value!r} of type {type(value).__name__}."
            )
        if value not in allowed:
            raise ValueError(
                f"`{name}` must be one of {allowed}. "
                f"Received: {name}={value!r}."
            )
    if io_dtype == "int8" and quantize != "int8":
        raise ValueError(
            '`io_dtype="int8"` needs `quantize="int8"`. '
            f"Received: quantize={quantize!r}."
        )
    if encoding == "sparse" and quantize in ("float16", "dynamic_int8"):
        raise ValueError(
            '`encoding="sparse"` can\'t be had with '
            f'quantize="{quantize}": the runtime computes wrong numbers for '
            "that combination under its default delegate. Use "
            "`pack_blocks(model)` without `encoding`, or "
            f'another `quantize`. Received: quantize="{quantize}".'
        )


def check_tolerance(tolerance: Any) -> None:
    """Checks the tolerance of a comparison.

    Args:
        tolerance: As in `export_tflite`.

    Raises:
        TypeError: If it is no number.
        ValueError: If it isn't positive.
    """
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, numbers.Real):
        raise TypeError(
            "`tolerance` must be a number. "
            f"Received: tolerance={tolerance!r} of type "
            f"{type(tolerance).__name__}."
        )
    if not float(tolerance) > 0:
        raise ValueError(
            f"`tolerance` must be positive. Received: tolerance={tolerance}."
        )


def check_count(name: str, value: Any) -> None:
    """Checks that an argument is a positive integer.

    Args:
        name: The argument's name, for the error.
        value: What was received.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"`{name}` must be a positive integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}."
        )
    if value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value}."
        )
