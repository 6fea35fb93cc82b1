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
"""Which kernels of a model are fitted, and what stands around them."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.blocks.grid import BlockGrid, expand
from tfmot_sapp.calibration.places import (
    from_matrix,
    to_matrix,
    why_no_rows,
)
from tfmot_sapp.calibration.programs import Program
from tfmot_sapp.frameworks.kernels import (
    Kernel,
    find_kernels,
    has_matrices,
    kernel_name,
    why_no_kernels,
)
from tfmot_sapp.frameworks.layers.axes import OUT
from tfmot_sapp.frameworks.layers.normalization import channel_axis
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.layers import all_layers, operation_name
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import host_value, is_layer, is_model


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A kernel that a program's step multiplies with.

    Attributes:
        name: The kernel's name, which no other of the model has.
        label: Its name in reports, which may be that of others too, in other
            models nested in one.
        layer: The layer that the names are of.
        kernel: The kernel.
        step: Index of the step.
    """

    name: str
    label: str
    layer: Any
    kernel: Kernel
    step: int


def candidates(
    program: Program,
) -> tuple[list[Candidate], dict[str, str]]:
    """Returns the kernels that can be fitted, and why others can't.

    Args:
        program: A model's calls.

    Returns:
        The kernels in order of the steps, and reasons by the names in reports.
    """
    found: list[Candidate] = []
    reasons: dict[str, str] = {}
    counts: dict[int, int] = {}
    for step in program.steps:
        counts[id(step.layer)] = counts.get(id(step.layer), 0) + 1
    for index, step in enumerate(program.steps):
        if not is_layer(step.layer):
            continue
        for layer, kernels in _kernels_of(step.layer):
            if not kernels and has_matrices(layer):
                reasons[layer.name] = why_no_kernels(layer)
            for kernel in kernels:
                label = kernel_name(layer.name, kernel, kernels)
                why = why_no_rows(kernel)
                if counts[id(step.layer)] > 1:
                    why = "the layer is called more than once"
                if why is None:
                    name = _unique(label, {each.name for each in found})
                    found.append(Candidate(name, label, layer, kernel, index))
                else:
                    reasons[label] = why
    return found, reasons


def _unique(name: str, taken: Collection[str]) -> str:
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}#{number}"
    return found


def _kernels_of(layer: Any) -> Iterator[tuple[Any, list[Kernel]]]:
    """Yields layers with their kernels, as reports list them.

    Those of a layer inside of another, which is no model, are the latter's.
    """
    inside: set[int] = set()
    for inner in flatten_layers(layer):
        if id(inner) in inside or is_model(inner):
            continue
        inside.update(map(id, all_layers(inner)))
        yield inner, find_kernels(inner)


@dataclasses.dataclass(frozen=True)
class Around:
    """What follows a kernel's output.

    Attributes:
        norm: Step of the batch norm that it goes through; `None` for none.
        added: Places of the values that are added behind it.
    """

    norm: int | None
    added: tuple[int, ...]


def what_follows(program: Program, step: int) -> Around:
    """Follows a step's output to what it is added to.

    A batch norm and what does nothing at inference may lie between. Only values
    that were there before the step count as added.

    Args:
        program: A model's calls.
        step: Index of the step.
    """
    norm = None
    ready = {place for each in program.steps[:step] for place in each.writes}
    ready.update(program.inputs)
    place, *more = program.steps[step].writes
    layer = program.steps[step].layer
    if more or not _is_linear(layer):
        return Around(None, ())
    while True:
        readers = program.readers(place)
        if len(readers) != 1 or place in program.outputs:
            return Around(norm, ())
        following = program.steps[readers[0]]
        effect = effect_of(following.layer)
        if effect == "scale" and norm is None:
            if not _is_norm_of_outputs(following.layer, layer):
                return Around(None, ())
            norm = readers[0]
        elif _adds(following.layer):
            others = [p for p in following.reads if p != place]
            if len(others) == len(following.reads) - 1 and ready >= set(others):
                return Around(norm, tuple(others))
            return Around(norm, ())
        elif effect != "nothing":
            return Around(norm, ())
        (place,) = following.writes


def _adds(layer: Any) -> bool:
    return effect_of(layer) == "add" or operation_name(layer) == "add"


def _is_linear(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is None or activation.__name__ == "linear"


def _is_norm_of_outputs(norm: Any, layer: Any) -> bool:
    """Whether a batch norm has a mean for each of a layer's outputs."""
    axis = channel_axis(norm)
    rank = norm.input_spec.ndim
    if getattr(layer, "data_format", None) == "channels_first":
        return axis in (1, 1 - rank)
    return axis in (-1, rank - 1)


def norm_slope(norm: Any) -> np.ndarray:
    """Returns what a batch norm multiplies each channel by at inference."""
    variance = host_value(norm.moving_variance).astype(np.float64)
    slope = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        slope = slope * host_value(norm.gamma)
    return slope


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A kernel as a matrix whose rows and columns are cut in groups.

    Attributes:
        kernel: The kernel.
        grid: The grid over it.
        row_groups: Group of each input.
        column_groups: Block of each output.
    """

    kernel: Kernel
    grid: BlockGrid
    row_groups: np.ndarray
    column_groups: np.ndarray

    @classmethod
    def of(cls, kernel: Kernel, grid: BlockGrid) -> "Blocks":
        """Cuts a kernel by a grid."""
        numbers = np.arange(grid.num_blocks).reshape(grid.cells)
        matrix = to_matrix(expand(numbers, grid), kernel)
        rows = np.unique(matrix[:, 0], return_inverse=True)[1]
        columns = np.unique(matrix[0], return_inverse=True)[1]
        return cls(kernel, grid, np.ravel(rows), np.ravel(columns))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of row groups and of blocks of columns."""
        return int(self.row_groups.max()) + 1, int(self.column_groups.max()) + 1

    def weights(self) -> np.ndarray:
        """Returns the kernel as a matrix of float32."""
        value = host_value(self.kernel.variable).astype(np.float32)
        return to_matrix(value, self.kernel)

    def assign(self, weights: np.ndarray) -> None:
        """Puts a matrix into the kernel."""
        value = self.shaped(weights)
        variable = self.kernel.variable
        dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
        variable.assign(value.astype(dtype))

    def shaped(self, weights: np.ndarray) -> np.ndarray:
        """Returns a matrix as an array shaped like the kernel."""
        return from_matrix(weights, self.kernel)

    def over_grid(self, values: np.ndarray) -> np.ndarray:
        """Returns values by group and block of columns as the grid has them."""
        whole = values[np.ix_(self.row_groups, self.column_groups)]
        whole = from_matrix(whole, self.kernel).reshape(self.grid.view)
        starts = [
            np.arange(0, length, extent)
            for length, extent in zip(self.grid.view, self.grid.block)
        ]
        return whole[np.ix_(*starts)]

    def from_grid(self, values: np.ndarray) -> np.ndarray:
        """Undoes `over_grid`."""
        matrix = to_matrix(expand(values, self.grid), self.kernel)
        rows = np.unique(self.row_groups, return_index=True)[1]
        columns = np.unique(self.column_groups, return_index=True)[1]
        return matrix[np.ix_(rows, columns)]


def own_bias(kernel: Kernel) -> Any | None:
    """Returns the bias beside a kernel, if it has a value for each output."""
    bias = getattr(kernel.owner, "bias", None)
    outputs = math.prod(
        n for n, role in zip(kernel.shape, kernel.roles) if role == OUT
    )
    if bias is None or math.prod(bias.shape) != outputs:
        return None
    return bias


def shift(bias: Any, norm: Any, by: np.ndarray) -> Callable[[], None]:
    """Adds to a layer's outputs, by its bias or the batch norm behind it.

    Args:
        bias: The layer's bias, or `None`.
        norm: The batch norm behind it, whose mean is moved where there is no
            bias.
        by: Array (outputs,).

    Returns:
        Function that undoes it.
    """
    variable = norm.moving_mean if bias is None else bias
    before = host_value(variable)
    by = by.reshape(before.shape)
    variable.assign(before - by if bias is None else before + by)
    return lambda: variable.assign(before)
