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

from typing import Any

from tfmot_sapp.base.checks import check_choice, check_flag, check_real
from tfmot_sapp.export.tflite.quantizer import check_installed
from tfmot_sapp.targets.target import check_quantize

# What TensorFlow's converter rounds to.
CONVERTED = (None, "float16", "dynamic_int8", "int8")
# What is rounded to integers.
INTEGERS = ("dynamic_int8", "int8", "int4")
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
    check_quantize(quantize)
    check_choice(encoding, "encoding", ENCODINGS)
    check_choice(io_dtype, "io_dtype", IO_DTYPES)
    if io_dtype == "int8" and quantize != "int8":
        raise ValueError(
            '`io_dtype="int8"` needs `quantize="int8"`. '
            f"Received: quantize={quantize!r}."
        )
    if encoding == "sparse" and quantize in (
        "float16",
        "dynamic_int8",
        "int4",
    ):
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
    if tolerance is not None:
        check_real(tolerance, "tolerance", above=0)


def check_packing(pack: Any, quantize: Any, encoding: Any) -> None:
    """Checks whether a file of this format can be packed as it is written.

    Args:
        pack: As in `export_tflite`.
        quantize: As in `export_tflite`.
        encoding: As in `export_tflite`.

    Raises:
        TypeError: If `pack` is no bool.
        ValueError: If it can't.
        ImportError: If that needs a package that isn't installed.
    """
    if not check_flag(pack, "pack"):
        if quantize == "int4":
            check_installed(quantize)
        return
    if quantize in INTEGERS:
        check_installed(quantize)
    if encoding is not None:
        raise ValueError(
            "`pack` stores the kept blocks in place of the runtime's own "
            "sparse encoding; leave one of the two out. Received: pack=True "
            f"and encoding={encoding!r}."
        )
