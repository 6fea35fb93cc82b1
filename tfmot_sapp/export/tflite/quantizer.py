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
"""Quantization of a `.tflite` file by `litert-quantizer`.

TensorFlow's converter quantizes while it converts, and what it has rounded
can't be packed. A file is therefore packed in float32 and rounded afterwards,
with the recipes of the package `litert-quantizer`.
"""

import contextlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export import runtime

PACKAGE = "litert_quantizer"

# One at a time changes where `sys.stderr` leads.
_LOCK = threading.Lock()


def is_installed() -> bool:
    """Returns whether the quantizer is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def check_installed(quantize: str) -> None:
    """Checks that the quantizer is there.

    Args:
        quantize: What it is needed for.

    Raises:
        ImportError: If it isn't installed.
    """
    if not is_installed():
        raise ImportError(
            f"quantize={quantize!r} needs the package litert-quantizer here. "
            "Install it with `pip install tfmot_sapp[quantize]`."
        )


def quantized_content(
    content: bytes,
    quantize: str,
    io_dtype: str,
    data: Sequence[Mapping[str, np.ndarray]] | None,
) -> bytes:
    """Rounds a float32 file.

    Args:
        content: The file's bytes.
        quantize: `"dynamic_int8"`: weights of 8 bits, activations rounded
            while it runs; `"int4"`: likewise, but 4 bits for the weights of
            fully connected layers; `"int8"`: 8 bits throughout.
        io_dtype: With `"int8"`, type of inputs and outputs, `"float32"` or
            `"int8"`.
        data: With `"int8"`, inputs by name to find ranges with.

    Returns:
        The rounded file's bytes, which nobody has compared yet.

    Raises:
        ValueError: If the file can't be quantized.
    """
    from litert_quantizer import quantizer

    recipes = _recipes(quantize, io_dtype)
    tool = quantizer.Quantizer(
        bytearray(content), recipes.get_quantization_recipe()
    )
    try:
        with quiet(), _without_bars():
            ranges = None
            if recipes.need_calibration():
                ranges = _ranges(content, recipes, data or [])
            found = tool.quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The packed file can't be quantized. Received: {error}"
        ) from error
    return bytes(found.quantized_model)


class _Muted:
    """A stream to which one thread writes nothing."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Writes what another thread has to say."""
        if threading.get_ident() == self._thread:
            return len(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Holds back the progress bars that the quantizer can't be told to omit."""
    with _LOCK:
        muted: Any = _Muted(sys.stderr)
        with contextlib.redirect_stderr(muted):
            yield


def _ranges(
    content: bytes, recipes: Any, data: Sequence[Mapping[str, np.ndarray]]
) -> Any:
    """Least and largest number that every value of a file takes.

    By default the quantizer averages over samples, and later ones weigh less
    and less, so that what is rare would be cut off.
    """
    from litert_quantizer import calibrator
    from litert_quantizer.utils.qsv_utils import min_max_update

    observer = calibrator.Calibrator(
        bytearray(content),
        num_threads=1,
        qsv_update_func=min_max_update,
        # The runtime looks at its values itself, a hundred times faster.
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
    )
    (signature,) = runtime.load(content).get_signature_list()
    observer.calibrate({signature: data}, recipes)
    # With an axis of its own, a range doesn't fit constants that are joined
    # to other values.
    return {
        name: {end: np.reshape(number, ()) for end, number in ends.items()}
        for name, ends in observer.get_model_qsvs().items()
    }


def _recipes(quantize: str, io_dtype: str) -> Any:
    from litert_quantizer import recipe_manager
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName as Kind

    manager = recipe_manager.RecipeManager()
    if quantize != "int8":
        manager.add_dynamic_config(".*", Kind.ALL_SUPPORTED, 8)
        if quantize == "int4":
            manager.add_dynamic_config(".*", Kind.FULLY_CONNECTED, 4)
        return manager
    manager.add_static_config(".*", Kind.ALL_SUPPORTED, 8, 8)
    if io_dtype == "float32":
        for kind in (Kind.INPUT, Kind.OUTPUT):
            manager.add_quantization_config(
                ".*", kind, algorithm_key=AlgorithmName.NO_QUANTIZE
            )
    return manager
