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
axes, from which `block_size=(in, out)` becomes a grid. Nothing here imports
Keras: layers are told by the names of their classes, so both Keras and
subclasses of their layers are served alike.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.frameworks.private.layers import attributes_of

# The role of an axis of a kernel. A block of `(in, out)` takes all taps
# together and never spans two slices of a "batch" axis.
IN, OUT, TAP, BATCH = "in", "out", "tap", "batch"


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
            _, roles = _merge_axes(self.shape, self.roles)
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
        view, roles = _merge_axes(self.shape, self.roles)
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
        it has none that can be cut in blocks.
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
    return any(len(weight.shape) > 1 for weight in layer.weights)


def why_no_kernels(layer: Any) -> str:
    """Says why `find_kernels` finds nothing in a built layer."""
    kinds = _class_names(layer)
    if any("Depthwise" in kind for kind in kinds):
        return "a depthwise kernel has no blocks over input and output"
    if getattr(layer, "lora_enabled", False):
        return "LoRA is enabled: merge it first"
    if getattr(layer, "quantization_mode", None):
        return "the layer is quantized: prune before quantizing"
    return f"no kernel known in a layer of type {type(layer).__name__}"


def _walk(layer: Any, prefix: str, seen: set[int]) -> Iterator[Kernel]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    own = list(_own_kernels(layer, prefix))
    yield from own
    if own:
        return
    for name, inner in _inner_layers(layer):
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


def _described(layer: Any) -> list[tuple[str, Sequence[str]]]:
    """Returns the attributes that may hold kernels, with their axes' roles."""
    prunable = getattr(layer, "get_prunable_weights", None)
    if callable(prunable):
        return _prunable_layer_weights(layer, prunable())
    kinds = _class_names(layer)
    if "DepthwiseConv1D" in kinds or "DepthwiseConv2D" in kinds:
        return []
    if "BaseSeparableConv" in kinds or "SeparableConv" in kinds:
        rank = len(layer.pointwise_kernel.shape) - 2
        return [("pointwise_kernel", [TAP] * rank + [IN, OUT])]
    if kinds & {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"}:
        rank = len(layer.kernel.shape) - 2
        return [("kernel", [TAP] * rank + [OUT, IN])]
    if kinds & {"Conv1D", "Conv2D", "Conv3D"}:
        rank = len(layer.kernel.shape) - 2
        return [("kernel", [TAP] * rank + [IN, OUT])]
    if "EinsumDense" in kinds:
        roles = einsum_roles(layer.equation)
        return [("kernel", roles)] if _merge_is_possible(roles) else []
    if "Dense" in kinds:
        return [("kernel", [IN, OUT])]
    if "Embedding" in kinds:
        return [("embeddings", [IN, OUT])]
    if kinds & {"LSTMCell", "GRUCell", "SimpleRNNCell"}:
        return [
            ("kernel", [IN, OUT]),
            ("recurrent_kernel", [IN, OUT]),
        ]
    if "ConvLSTMCell" in kinds:
        rank = len(layer.kernel.shape) - 2
        roles = [TAP] * rank + [IN, OUT]
        return [("kernel", roles), ("recurrent_kernel", roles)]
    return []


def _prunable_layer_weights(
    layer: Any, weights: Sequence[Any]
) -> list[tuple[str, Sequence[str]]]:
    """Finds TF-MOT's `PrunableLayer` weights among a layer's attributes."""
    found: list[tuple[str, Sequence[str]]] = []
    for weight in weights:
        for attribute, value in vars(layer).items():
            if value is weight:
                rank = len(weight.shape)
                roles = ([TAP] * (rank - 2) + [IN, OUT])[-rank:]
                found.append((attribute, roles))
                break
    return found


def einsum_roles(equation: str) -> list[str]:
    """Returns the roles of an `EinsumDense` kernel's axes.

    Args:
        equation: An equation such as `"abc,cde->abde"`.

    Returns:
        One role per axis of the kernel: "in" for an axis that is summed over,
        "out" for a new one, "batch" for one that input, kernel and output have
        in common.

    Example:

    >>> einsum_roles("abc,cde->abde")
    ['in', 'out', 'out']
    """
    operands, _, result = equation.replace(" ", "").partition("->")
    inputs, _, kernel = operands.partition(",")
    roles = []
    for axis in kernel:
        if axis in inputs and axis in result:
            roles.append(BATCH)
        else:
            roles.append(IN if axis in inputs else OUT)
    return roles


def _merge_is_possible(roles: Sequence[str]) -> bool:
    _, merged = _merge_axes((1,) * len(roles), tuple(roles))
    return merged.count(IN) == 1 and merged.count(OUT) == 1


def _merge_axes(
    shape: tuple[int, ...], roles: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Merges neighbouring axes of one role, for "in" and "out" only."""
    lengths: list[list[int]] = []
    merged: list[str] = []
    for length, role in zip(shape, roles):
        if merged and merged[-1] == role and role in (IN, OUT):
            lengths[-1].append(length)
        else:
            lengths.append([length])
            merged.append(role)
    return tuple(math.prod(group) for group in lengths), tuple(merged)


def _class_names(layer: Any) -> set[str]:
    return {cls.__name__ for cls in type(layer).__mro__}


def _inner_layers(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yields the layers held by a layer, with the attributes they are in."""
    for name, value in attributes_of(layer).items():
        for label, item in _items(name.lstrip("_"), value):
            if hasattr(item, "weights") and hasattr(item, "get_config"):
                yield label, item


def _items(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        return [(f"{name}.{i}", item) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return [(f"{name}.{key}", item) for key, item in value.items()]
    return [(name, value)]
