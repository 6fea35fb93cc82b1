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
"""Which weights of a layer are kernels, and which of their axes are which.

A kernel is a weight that the layer multiplies its input with. `find_kernels`
lists those of a layer, those of the layers inside it included (the projections
of a `MultiHeadAttention`, the cell of an `LSTM`), each with the roles of its
axes, from which `block_size=(in, out)` becomes a grid. Which weights are
kernels stands in the table of layers (`frameworks/layers`).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from tfmot_sapp.blocks.block_size import BlockSize
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.frameworks.layers.axes import (
    BATCH,
    IN,
    OUT,
    convolution_roles,
    merge_axes,
)
from tfmot_sapp.frameworks.layers.kind import KernelAxes
from tfmot_sapp.frameworks.layers.table import kind_of
from tfmot_sapp.frameworks.private.layers import layers_inside
from tfmot_sapp.frameworks.walking import held_layers, is_pruned


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel of a layer.

    Attributes:
        path: Attributes that lead to it from the layer, joined by dots
            and without leading underscores: `"kernel"`,
            `"cell.recurrent_kernel"`.
        owner: The layer that holds the variable.
        attribute: Its attribute there.
        roles: Role of each axis of the variable.
    """

    path: str
    owner: Any
    attribute: str
    roles: tuple[str, ...]

    @property
    def variable(self) -> Any:
        """The variable, of either Keras."""
        return getattr(self.owner, self.attribute)

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(int(n) for n in self.variable.shape)

    def axes(self, grid: BlockGrid) -> tuple[int, int]:
        """Returns the axes of a grid over the kernel that blocks lie on.

        Args:
            grid: What `grid` returned.

        Returns:
            The axis of input blocks and the axis of output blocks, the last
            ones of either; those of the grid's last two axes that are left if
            the kernel has none.
        """
        roles = self.roles
        if len(grid.view) != len(self.shape):
            _, roles = merge_axes(self.shape, self.roles)
        last = len(roles) - 1
        found = {role: axis for axis, role in enumerate(roles)}
        output = found.get(OUT, last - 1 if found.get(IN) == last else last)
        return found.get(IN, last - 1 if output == last else last), output

    def grid(self, block_size: Sequence[int]) -> BlockGrid:
        """Cuts the kernel in blocks.

        Args:
            block_size: `(in, out)`, or one extent per axis of the kernel.

        Returns:
            A `BlockGrid` over the kernel.

        Raises:
            ValueError: If `block_size` has neither length.
        """
        if len(block_size) == len(self.shape) != 2:
            return BlockGrid.over(self.shape, tuple(block_size))
        if len(block_size) != 2:
            raise ValueError(
                "`block_size` must have two extents, (in, out), or "
                f"{len(self.shape)}, one per axis of `{self.path}` with shape "
                f"{self.shape}. Received: block_size={tuple(block_size)}."
            )
        view, roles = merge_axes(self.shape, self.roles)
        inputs, outputs = block_size
        extent = {IN: inputs, OUT: outputs, BATCH: 1}
        block = tuple(
            extent.get(role, length) for role, length in zip(roles, view)
        )
        return BlockGrid.over(self.shape, block, view)


def find_kernels(layer: Any) -> list[Kernel]:
    """Returns the kernels of a built layer and of the layers inside it.

    Args:
        layer: A built layer of either Keras.

    Returns:
        List of `Kernel`, in the order of the layer's construction; empty when
        it has none that can be cut in blocks. Those of layers inside it that
        are pruned by a wrapper of their own are not among them.
    """
    return list(_walk(layer, "", set()))


def kernel_name(
    layer_name: str, kernel: Kernel, siblings: Sequence[Kernel]
) -> str:
    """Returns a kernel's name: its layer's, and its path where it needs one."""
    if len(siblings) == 1:
        return layer_name
    return f"{layer_name}/{kernel.path.removesuffix('.kernel')}"


def has_matrices(layer: Any) -> bool:
    """Returns whether a built layer has weights that look like a kernel."""
    return bool(matrices_of(layer))


def matrices_of(layer: Any) -> list[Any]:
    """Returns the weights of a built layer that look like kernels.

    Args:
        layer: A layer or model of either Keras.

    Returns:
        Its weights that are longer than 1 along several axes, but for biases,
        which attentions have one of for each head. What a layer learns from
        data may have an extent that is not known, and is no kernel.
    """
    return [
        weight
        for weight in layer.weights
        if _is_matrix(tuple(getattr(weight, "shape", ())))
        and not _is_bias(weight)
    ]


def other_matrices(layer: Any, kernels: Sequence[Kernel]) -> list[Any]:
    """Returns the matrices of a layer that are none of its kernels.

    Args:
        layer: A built layer.
        kernels: What `find_kernels` returned.

    Returns:
        Those that no wrapper inside it prunes either, without depthwise
        kernels.
    """
    known = {id(kernel.variable) for kernel in kernels}
    known |= {
        id(weight)
        for inner in layers_inside(layer)
        if is_pruned(inner)
        for weight in inner.weights
    }
    return [
        weight
        for weight in matrices_of(layer)
        if id(weight) not in known and "depthwise" not in short_name(weight)
    ]


def _is_matrix(shape: tuple[int | None, ...]) -> bool:
    return None not in shape and sum(extent != 1 for extent in shape) > 1


def _is_bias(weight: Any) -> bool:
    return short_name(weight).endswith("bias")


def why_no_kernels(layer: Any) -> str:
    """Says why `find_kernels` finds nothing in a built layer."""
    kind = kind_of(layer)
    if kind is not None and kind.no_blocks:
        return kind.no_blocks
    if getattr(layer, "lora_enabled", False):
        return "LoRA is enabled: merge it first"
    if getattr(layer, "quantization_mode", None):
        return "the layer is quantized: prune before quantizing"
    return f"no kernel known in a layer of type {type(layer).__name__}"


NO_KERNEL = "no blocks are known for this weight"


def short_name(weight: Any) -> str:
    """Returns the last part of a weight's name."""
    return weight.name.partition(":")[0].rpartition("/")[2]


def why_skip(
    kernel: Kernel, block_size: BlockSize, min_blocks: int
) -> str | None:
    """Returns why a kernel is not pruned, or `None` if it is."""
    rank = len(kernel.shape)
    if len(block_size) not in (2, rank):
        return (
            f"block_size {tuple(block_size)} does not fit a kernel of rank "
            f"{rank}"
        )
    blocks = kernel.grid(block_size).num_blocks
    if blocks < min_blocks:
        return f"{blocks} blocks, fewer than {min_blocks}"
    return None


def _walk(layer: Any, prefix: str, seen: set[int]) -> Iterator[Kernel]:
    if id(layer) in seen or is_pruned(layer):
        return
    seen.add(id(layer))
    own = list(_own_kernels(layer, prefix))
    yield from own
    if own:
        return
    for name, inner in held_layers(layer):
        yield from _walk(inner, f"{prefix}{name}.", seen)


def _own_kernels(layer: Any, prefix: str) -> Iterator[Kernel]:
    if getattr(layer, "lora_enabled", False):
        return
    if getattr(layer, "quantization_mode", None):
        return
    for attribute, roles in _described(layer):
        variable = getattr(layer, attribute, None)
        if variable is None or not hasattr(variable, "assign"):
            continue
        if len(roles) != len(variable.shape):
            continue
        yield Kernel(prefix + attribute, layer, attribute, tuple(roles))


def _described(layer: Any) -> Sequence[KernelAxes]:
    """Returns the attributes that may hold kernels, with their axes' roles."""
    prunable = getattr(layer, "get_prunable_weights", None)
    if callable(prunable):
        return _prunable_layer_weights(layer, prunable())
    kind = kind_of(layer)
    return kind.kernels(layer) if kind and kind.kernels else ()


def _prunable_layer_weights(
    layer: Any, weights: Sequence[Any]
) -> list[KernelAxes]:
    """Finds TF-MOT's `PrunableLayer` weights among a layer's attributes."""
    found: list[KernelAxes] = []
    for weight in weights:
        for attribute, value in vars(layer).items():
            if value is weight:
                rank = len(weight.shape)
                roles = convolution_roles(max(rank, 2))[-rank:]
                found.append((attribute, roles))
                break
    return found
