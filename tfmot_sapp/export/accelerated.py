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
"""Files on LiteRT's GPU accelerator, through its `CompiledModel`.

The accelerator needs a driver for Vulkan (Metal, Direct3D); a software one will
do for trying whether a file runs there at all.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export.runtime import has_litert
from tfmot_sapp.targets.gpu_target import GpuTarget


@dataclasses.dataclass(frozen=True)
class Accelerated:
    """A file that is ready to run on a GPU.

    Attributes:
        run: Takes one array per input, in the file's order, and returns one per
            output.
        shapes: Shapes of the inputs.
        dtypes: Types of the inputs.
        is_whole: Whether the accelerator took every operation.
    """

    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]
    is_whole: bool


def on_gpu(content: bytes, in_float32: bool = False) -> Accelerated:
    """Compiles a file for the GPU.

    Args:
        content: A `.tflite` file's bytes.
        in_float32: Whether it computes in float32. Defaults to the
            accelerator's own choice, which may be float16.

    Returns:
        An `Accelerated`.

    Raises:
        ValueError: If LiteRT isn't installed, there is no driver, or the file
            can't be compiled.
    """
    if not has_litert():
        raise ValueError(
            "`target=GpuTarget()` needs the package `ai-edge-litert` to run a "
            "file. Received: an installation without it."
        )
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    try:
        with quiet():
            if in_float32:
                from ai_edge_litert.options import GpuOptions, Options

                options = Options(
                    hardware_accelerators=HardwareAccelerator.GPU,
                    gpu_options=GpuOptions(enforce_f32=True),
                )
                model = CompiledModel.from_buffer(content, options=options)
            else:
                model = CompiledModel.from_buffer(
                    content, HardwareAccelerator.GPU
                )
            signature = next(iter(model.get_signature_list()))
            inputs = model.create_input_buffers(0)
            outputs = model.create_output_buffers(0)
            takes = model.get_input_tensor_details(signature).values()
            gives = model.get_output_tensor_details(signature).values()
            whole = bool(model.is_fully_accelerated())
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            "`target=GpuTarget()` needs a GPU with a driver that LiteRT's "
            f"accelerator can use. Received: {error}."
        ) from error
    shapes = [tuple(int(n) for n in detail["shape"]) for detail in gives]
    types = [np.dtype(detail["dtype"]) for detail in gives]

    def run(
        arrays: Sequence[np.ndarray], _content: Any = content
    ) -> list[np.ndarray]:
        for buffer, array in zip(inputs, arrays):
            buffer.write(np.ascontiguousarray(array).ravel())
        model.run_by_index(0, inputs, outputs)
        return [
            # Reading waits for the result.
            np.array(buffer.read(int(np.prod(shape)), dtype)).reshape(shape)
            for buffer, shape, dtype in zip(outputs, shapes, types)
        ]

    return Accelerated(
        run=run,
        shapes=tuple(tuple(int(n) for n in d["shape"]) for d in takes),
        dtypes=tuple(np.dtype(d["dtype"]) for d in takes),
        is_whole=whole,
    )


def check_gpu(target: Any, name: str) -> None:
    """Refuses a target that models can't be run on from here.

    Args:
        target: A target that is no CPU.
        name: The argument's name.

    Raises:
        ValueError: If it is no `GpuTarget`.
    """
    if not isinstance(target, GpuTarget):
        raise ValueError(
            f"`{name}` must be one that models can be run on from here: "
            "`tfmot_sapp.CpuTarget(threads=1)` or `tfmot_sapp.GpuTarget()`. "
            f"Received: {name}={target!r}."
        )
