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
"""The runtime that executes `.tflite` files, chosen in this one place.

LiteRT (the package `ai-edge-litert`) if it is installed, else the interpreter
inside TensorFlow. Both apply their default delegate, XNNPACK, and that is how
every file is checked and timed here: what a stock installation computes.
"""

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np

from tfmot_sapp.base.silence import quiet


def has_litert() -> bool:
    """Returns whether `ai-edge-litert` is installed."""
    return importlib.util.find_spec("ai_edge_litert") is not None


def runtime_name() -> str:
    """Returns the runtime's name, `"LiteRT"` or `"TensorFlow Lite"`."""
    return "LiteRT" if has_litert() else "TensorFlow Lite"


def interpreter_module() -> ModuleType:
    """Returns the module that has `Interpreter` and `OpResolverType`."""
    if has_litert():
        from ai_edge_litert import interpreter
    else:
        # Only here, because loading TensorFlow takes seconds.
        from tfmot_sapp.frameworks.private import tensorflow as private

        interpreter = private.interpreter_module()
    return interpreter


def load(
    content: bytes, threads: int = 1, delegate: bool = True, **options: Any
) -> Any:
    """Makes an interpreter.

    Args:
        content: A `.tflite` file's bytes, which must stay alive as long as the
            interpreter does.
        threads: Number of threads, at least 1.
        delegate: Whether with the default delegate.
        **options: Further arguments of the runtime's `Interpreter`.

    Returns:
        An `Interpreter`, its tensors not yet allocated.
    """
    module = interpreter_module()
    if not delegate:
        kinds = module.OpResolverType
        options["experimental_op_resolver_type"] = (
            kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    with quiet():
        return module.Interpreter(
            model_content=content, num_threads=threads, **options
        )


def allocate(interpreter: Any) -> None:
    """Allocates the tensors of an interpreter, and prints nothing.

    Args:
        interpreter: An `Interpreter`.
    """
    with quiet():
        interpreter.allocate_tensors()


def run(
    content: bytes,
    inputs: list[dict[str, np.ndarray]],
    threads: int = 1,
    signature: str | None = None,
    delegate: bool = True,
) -> list[dict[str, np.ndarray]]:
    """Runs a file through one of its signatures.

    Args:
        content: The file's bytes.
        inputs: One dictionary of arrays by input name for every call. Float
            arrays are quantized where the file takes integers.
        threads: Number of threads.
        signature: Name of the signature, `None` for the only one.
        delegate: Whether under the default delegate.

    Returns:
        One dictionary of arrays by output name for every call, quantized
        outputs as the real numbers that they stand for.
    """
    interpreter = load(content, threads, delegate)
    with quiet():
        runner = interpreter.get_signature_runner(signature)
    takes, gives = runner.get_input_details(), runner.get_output_details()
    results: list[dict[str, np.ndarray]] = []
    for arrays in inputs:
        stored = {
            name: to_stored(arrays[name], detail)
            for name, detail in takes.items()
        }
        with quiet():
            if results:
                # Fused LSTMs would carry their state on from call to call.
                interpreter.reset_all_variables()
            found = runner(**stored)
        # Copied, because the arrays are the interpreter's.
        real = {k: np.array(to_real(v, gives[k])) for k, v in found.items()}
        results.append(real)
    return results


def to_stored(real: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Converts real numbers to what a file's input tensor holds.

    Args:
        real: Array of real numbers, or of the tensor's own dtype.
        detail: The tensor's details, as the interpreter gives them.

    Returns:
        Array of the tensor's dtype.
    """
    scale, zero_point = detail["quantization"]
    if not scale or real.dtype == detail["dtype"]:
        return np.asarray(real, detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    stored = np.round(real / scale) + zero_point
    return np.clip(stored, limits.min, limits.max).astype(detail["dtype"])


def to_real(stored: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Converts what a file's output tensor holds to real numbers.

    Args:
        stored: Array of the tensor's dtype.
        detail: The tensor's details, as the interpreter gives them.

    Returns:
        float32 array for a quantized tensor, else the array itself.
    """
    scale, zero_point = detail["quantization"]
    if not scale or np.issubdtype(stored.dtype, np.floating):
        return stored
    return ((stored.astype(np.float32) - zero_point) * scale).astype(np.float32)
