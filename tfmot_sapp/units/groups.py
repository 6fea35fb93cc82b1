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
"""Which units of a model hang together.

A group is the hidden units between one kernel and its consumers: the layer that
makes them, the layers that carry each unit on by itself (activations, batch
norms, pooling, depthwise convolutions), and the layers whose kernels read them.
Removing a unit takes an output from the first, a channel from the second and
inputs from the third. Units that go anywhere else are left alone.
"""

import dataclasses
from typing import Any

import numpy as np

from tfmot_sapp.base.tables import render
from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.calls import (
    Call,
    is_graph,
    is_nested,
    tensors_of,
)
from tfmot_sapp.frameworks.flops import calls_of_model
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.attention import number_of_heads
from tfmot_sapp.frameworks.private.layers import layers_inside, operation_name
from tfmot_sapp.frameworks.which_keras import check_model, host_value
from tfmot_sapp.units.carriers import (
    LeftAloneError,
    carry,
    check_activation,
    check_channels,
    has_own_weights,
    norms_last_axis,
)
from tfmot_sapp.units.heads import AttentionCall, read_attention


@dataclasses.dataclass(frozen=True)
class Consumer:
    """A layer that reads a group's units.

    Attributes:
        layer: The layer.
        tensor: Its symbolic input: the units on its last axis.
        repeats: How often the units come one after the other on that axis,
            which is more than once behind a Flatten.
        scaled_by: The batch norm behind the layer that nothing else reads, or
            `None`.
        path: The layers that the units go through, from the one that makes them
            to this one and the batch norm behind it.
        result: What the last of them gives.
        total: The sum that `result` alone goes into, where the path is one
            branch of a residual block; else `None`.
        rectified: Whether the sum, or the result where there is none, is read
            by ReLUs alone.
    """

    layer: Any
    tensor: Any
    repeats: int
    scaled_by: Any
    path: tuple[Any, ...]
    result: Any
    total: Any
    rectified: bool


@dataclasses.dataclass(frozen=True)
class Group:
    """Units that can be removed.

    Attributes:
        name: Name of the layer that makes the units.
        units: Number of units.
        producer: That layer; for heads the attention itself.
        carriers: Layers with weights for each unit between it and the
            consumers.
        consumers: What reads the units; empty for heads, which the attention
            itself reads.
        source: The symbolic tensor that the producer reads; `None` for heads.
        attention: For heads, how the attention is called.
    """

    name: str
    units: int
    producer: Any
    carriers: tuple[Any, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    source: Any = None
    attention: AttentionCall | None = None

    @property
    def has_heads(self) -> bool:
        """Whether the units are attention heads."""
        return self.attention is not None

    @property
    def results(self) -> tuple[Consumer | AttentionCall, ...]:
        """What has the `result` and `total` of each consumer."""
        return (self.attention,) if self.attention else self.consumers


@dataclasses.dataclass(frozen=True)
class Groups:
    """What of a model can be removed, and why the rest can't.

    Attributes:
        groups: The groups, in the order of the graph.
        left_alone: Reasons by layer name.
    """

    groups: tuple[Group, ...]
    left_alone: dict[str, str]

    def __str__(self) -> str:
        """Returns a table."""
        rows = [
            [
                group.name,
                f"{group.units}",
                "heads" if group.has_heads else "units",
                ", ".join(layer.name for layer in group.carriers),
                ", ".join(c.layer.name for c in group.consumers),
                "",
            ]
            for group in self.groups
        ]
        rows += [
            [name, "", "", "", "", reason]
            for name, reason in self.left_alone.items()
        ]
        head = [
            "made by",
            "",
            "",
            "carried by",
            "read by",
            "left alone because",
        ]
        return render(head, rows, numeric=(1,))


def find_groups(model: Any) -> Groups:
    """Finds the units of a model that can be removed.

    Args:
        model: A built Sequential or Functional model of either Keras.

    Returns:
        A `Groups`, which prints as a table.

    Raises:
        ValueError: If the model's graph can't be read.

    Example:

    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...      keras.layers.Dense(2, name="out")])
    >>> find_groups(model).groups[0].name, find_groups(model).left_alone
    ('hidden', {'out': 'its units are an output of the model'})
    """
    check_model(model)
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or Functional model, whose "
            f"graph can be read. {received('model', model)}"
        )
    return _Reader(model).read()


def slope_of(norm: Any) -> np.ndarray | float:
    """Returns by what a batch norm multiplies, or 1 where there is none."""
    if norm is None:
        return 1.0
    slope = 1 / np.sqrt(host_value(norm.moving_variance) + norm.epsilon)
    return slope if norm.gamma is None else slope * host_value(norm.gamma)


class _Reader:
    def __init__(self, model: Any):
        self.calls = calls_of_model(model)
        self.outputs = {id(tensor) for tensor in model.outputs}
        self.readers: dict[int, list[Call]] = {}
        counts: dict[int, int] = {}
        for call in self.calls:
            counts[id(call.layer)] = counts.get(id(call.layer), 0) + 1
            inputs = tensors_of((call.args, call.kwargs))
            for tensor in {id(tensor): tensor for tensor in inputs}.values():
                self.readers.setdefault(id(tensor), []).append(call)
        self.shared = {layer for layer, count in counts.items() if count > 1}

    def read(self) -> Groups:
        groups, reasons = [], {}
        for call in self.calls:
            layer = call.layer
            if hasattr(layer, "layers") and is_nested(layer):
                for inner in layers_inside(layer):
                    if effect_of(inner) != "depthwise" and _has_matrix(inner):
                        reasons[inner.name] = f"it is inside `{layer.name}`"
                continue
            effect = effect_of(layer)
            try:
                if effect == "heads":
                    groups.append(self._heads(call))
                elif effect == "units":
                    groups.append(self._group(call))
                elif effect != "depthwise" and _has_matrix(layer):
                    kind = type(layer).__name__
                    raise LeftAloneError(f"no units known in a {kind}")
            except LeftAloneError as reason:
                reasons[layer.name] = str(reason)
        names = {group.name for group in groups}
        carriers = {layer.name for group in groups for layer in group.carriers}
        kept = {
            name: reason
            for name, reason in reasons.items()
            if name not in names | carriers
        }
        return Groups(tuple(groups), kept)

    def _heads(self, call: Call) -> Group:
        layer = call.layer
        self._check_alone(layer)
        units = number_of_heads(layer)
        attention = read_attention(call, self._total(call.outputs[0]))
        return Group(layer.name, units, layer, attention=attention)

    def _group(self, call: Call) -> Group:
        layer = call.layer
        self._check_alone(layer)
        check_channels(layer)
        if getattr(layer, "groups", 1) != 1:
            raise LeftAloneError("its convolution is grouped")
        check_activation(layer)
        units = int(layer.kernel.shape[-1])
        carriers: list[Any] = []
        consumers: list[Consumer] = []
        self._follow(call.outputs[0], (layer,), 1, carriers, consumers)
        return Group(
            layer.name,
            units,
            layer,
            tuple(carriers),
            tuple(consumers),
            tensors_of(call.args)[0],
        )

    def _follow(
        self,
        tensor: Any,
        path: tuple[Any, ...],
        repeats: int,
        carriers: list[Any],
        consumers: list[Consumer],
    ) -> None:
        if id(tensor) in self.outputs:
            raise LeftAloneError("its units are an output of the model")
        for call in self.readers.get(id(tensor), ()):
            layer = call.layer
            if effect_of(layer) == "units":
                consumers.append(self._consumer(call, tensor, path, repeats))
                continue
            after = carry(layer, tuple(tensor.shape), repeats)
            if has_own_weights(layer):
                self._check_alone(layer)
                carriers.append(layer)
            self._follow(
                call.outputs[0], (*path, layer), after, carriers, consumers
            )

    def _consumer(
        self, call: Call, tensor: Any, path: tuple[Any, ...], repeats: int
    ) -> Consumer:
        layer = call.layer
        self._check_alone(layer)
        check_channels(layer)
        if getattr(layer, "groups", 1) != 1:
            raise LeftAloneError(f"`{layer.name}` is a grouped convolution")
        if getattr(layer, "padding", "valid") not in ("valid", "same"):
            raise LeftAloneError(f"`{layer.name}` pads by {layer.padding!r}")
        path = (*path, layer)
        result, total = call.outputs[0], None
        norm = None
        activation = getattr(layer, "activation", None)
        if getattr(activation, "__name__", "linear") == "linear":
            norm = self._norm_behind(result)
            if norm is not None:
                path = (*path, norm.layer)
                result = norm.outputs[0]
            total = self._total(result)
        scaled_by = None if norm is None else norm.layer
        return Consumer(
            layer,
            tensor,
            repeats,
            scaled_by,
            path,
            result,
            total,
            self._is_rectified(result if total is None else total),
        )

    def _is_rectified(self, tensor: Any) -> bool:
        readers = self.readers.get(id(tensor), ())
        if not readers or id(tensor) in self.outputs:
            return False
        return all(_is_relu(call.layer) for call in readers)

    def _only_reader(self, tensor: Any) -> Call | None:
        readers = self.readers.get(id(tensor), ())
        if len(readers) != 1 or id(tensor) in self.outputs:
            return None
        return readers[0]

    def _norm_behind(self, tensor: Any) -> Call | None:
        call = self._only_reader(tensor)
        if call is None or effect_of(call.layer) != "scale":
            return None
        is_alone = id(call.layer) not in self.shared
        is_last = norms_last_axis(call.layer, len(tensor.shape))
        return call if is_alone and is_last else None

    def _total(self, tensor: Any) -> Any:
        """Returns the sum that a tensor alone goes into, if it does."""
        call = self._only_reader(tensor)
        while call is not None and effect_of(call.layer) == "nothing":
            tensor = call.outputs[0]
            call = self._only_reader(tensor)
        if call is None:
            return None
        is_sum = (
            effect_of(call.layer) == "add"
            or operation_name(call.layer) == "add"
        )
        terms = tensors_of((call.args, call.kwargs))
        total = call.outputs[0]
        once = sum(term is tensor for term in terms) == 1
        if is_sum and once and tuple(total.shape) == tuple(tensor.shape):
            return total
        return None

    def _check_alone(self, layer: Any) -> None:
        if id(layer) in self.shared:
            raise LeftAloneError(f"`{layer.name}` is called several times")


def _is_relu(layer: Any) -> bool:
    config = layer.get_config() if hasattr(layer, "get_config") else {}
    if type(layer).__name__ == "Activation":
        return config["activation"] == "relu"
    limits = ("max_value", "negative_slope", "threshold")
    return type(layer).__name__ == "ReLU" and not any(map(config.get, limits))


def _has_matrix(layer: Any) -> bool:
    return any(
        len(weight.shape) > 1 for weight in getattr(layer, "weights", ())
    )
