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
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.export.keras_calls import Call, is_graph, is_nested
from tfmot_sapp.flops import calls_of_model
from tfmot_sapp.tables import render

# Layers with an output per unit and input, by the class names of both Keras.
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
_PRODUCERS = ("Dense", *_CONVOLUTIONS)
# Layers that treat every channel alike and by itself.
_PLAIN = frozenset(
    {
        "ReLU",
        "LeakyReLU",
        "ELU",
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "GaussianNoise",
        "GaussianDropout",
        *(
            f"{kind}{rank}D"
            for kind in (
                "MaxPooling",
                "AveragePooling",
                "GlobalMaxPooling",
                "GlobalAveragePooling",
                "ZeroPadding",
                "Cropping",
                "UpSampling",
            )
            for rank in (1, 2, 3)
        ),
    }
)
# Activations that are functions of one value. Softmax is not, and of those that
# Keras doesn't know nobody can tell.
_ELEMENTWISE = frozenset(
    {
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "exponential",
        "sigmoid",
        "log_sigmoid",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "tanh",
        "hard_tanh",
        "tanh_shrink",
        "soft_shrink",
        "hard_shrink",
        "softplus",
        "softsign",
        "squareplus",
        "threshold",
    }
)
ATTENTION = "MultiHeadAttention"


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
    """

    layer: Any
    tensor: Any
    repeats: int
    scaled_by: Any


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
        inputs: For heads, the attention's symbolic query, value and key.
    """

    name: str
    units: int
    producer: Any
    carriers: tuple[Any, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    inputs: tuple[Any, ...] = ()

    @property
    def has_heads(self) -> bool:
        """Whether the units are attention heads."""
        return not self.consumers


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
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or Functional model, whose "
            f"graph can be read. Received: {model!r}."
        )
    return _Reader(model).read()


class _LeftAloneError(Exception):
    """Carries the reason."""


class _Reader:
    def __init__(self, model: Any):
        self.calls = calls_of_model(model)
        self.outputs = {id(tensor) for tensor in model.outputs}
        self.readers: dict[int, list[Call]] = {}
        counts: dict[int, int] = {}
        for call in self.calls:
            counts[id(call.layer)] = counts.get(id(call.layer), 0) + 1
            for tensor in _inputs(call):
                self.readers.setdefault(id(tensor), []).append(call)
        self.shared = {layer for layer, count in counts.items() if count > 1}

    def read(self) -> Groups:
        groups, reasons = [], {}
        for call in self.calls:
            layer = call.layer
            if hasattr(layer, "layers") and is_nested(layer):
                for inner in layer._flatten_layers(include_self=False):
                    if _has_matrix(inner):
                        reasons[inner.name] = f"it is inside `{layer.name}`"
                continue
            kind = type(layer).__name__
            try:
                if kind == ATTENTION:
                    groups.append(self._heads(call))
                elif kind in _PRODUCERS:
                    groups.append(self._group(call))
                elif _has_matrix(layer):
                    raise _LeftAloneError(f"no units known in a {kind}")
            except _LeftAloneError as reason:
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
        if getattr(layer, "_flash_attention", False):
            raise _LeftAloneError("its heads are computed in one operation")
        named = dict(zip(("query", "value", "key"), call.args))
        named.update(
            {k: v for k, v in call.kwargs.items() if k in ("value", "key")}
        )
        query, value = named["query"], named.get("value", named["query"])
        key = named.get("key")
        if call.kwargs.get("attention_mask") is not None or call.kwargs.get(
            "use_causal_mask"
        ):
            raise _LeftAloneError("its attention is masked by an argument")
        if len(call.outputs) > 1:
            raise _LeftAloneError("it returns the scores of each head")
        units = getattr(layer, "num_heads", None) or layer._num_heads
        inputs = (query, value, value if key is None else key)
        return Group(layer.name, units, layer, inputs=inputs)

    def _group(self, call: Call) -> Group:
        layer = call.layer
        self._check_alone(layer)
        self._check_channels(layer)
        if getattr(layer, "groups", 1) != 1:
            raise _LeftAloneError("its convolution is grouped")
        self._check_activation(layer)
        units = int(layer.kernel.shape[-1])
        carriers: list[Any] = []
        consumers: list[Consumer] = []
        self._follow(call.outputs[0], units, 1, carriers, consumers)
        return Group(
            layer.name, units, layer, tuple(carriers), tuple(consumers)
        )

    def _follow(
        self,
        tensor: Any,
        units: int,
        repeats: int,
        carriers: list[Any],
        consumers: list[Consumer],
    ) -> None:
        if id(tensor) in self.outputs:
            raise _LeftAloneError("its units are an output of the model")
        for call in self.readers.get(id(tensor), ()):
            layer, kind = call.layer, type(call.layer).__name__
            if kind in _PRODUCERS:
                self._check_alone(layer)
                self._check_consumer(layer, repeats)
                consumers.append(
                    Consumer(layer, tensor, repeats, self._norm_behind(call))
                )
                continue
            after = self._carry(layer, kind, tensor, repeats, carriers)
            self._follow(call.outputs[0], units, after, carriers, consumers)

    def _carry(
        self,
        layer: Any,
        kind: str,
        tensor: Any,
        repeats: int,
        carriers: list[Any],
    ) -> int:
        """Takes the units through a layer; returns their repeats after it."""
        if kind == "Flatten":
            self._check_channels(layer)
            extents = tuple(tensor.shape)[1:-1]
            if None in extents:
                raise _LeftAloneError(
                    f"`{layer.name}` flattens an unknown number of places"
                )
            for extent in extents:
                repeats *= extent
            return repeats
        if kind == "Activation":
            self._check_activation(layer)
            return repeats
        if kind == "BatchNormalization":
            axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
            if axis not in (-1, len(tensor.shape) - 1) or repeats > 1:
                raise _LeftAloneError(
                    f"`{layer.name}` norms another axis than the units'"
                )
            self._check_alone(layer)
            carriers.append(layer)
            return repeats
        if kind in ("DepthwiseConv1D", "DepthwiseConv2D"):
            self._check_alone(layer)
            self._check_channels(layer)
            self._check_activation(layer)
            if layer.depth_multiplier != 1:
                raise _LeftAloneError(
                    f"`{layer.name}` makes several channels of a unit"
                )
            carriers.append(layer)
            return repeats
        if kind in _PLAIN:
            self._check_channels(layer)
            return repeats
        if kind in ("Add", "Subtract", "Average", "Maximum", "Minimum"):
            raise _LeftAloneError(f"its units meet others in `{layer.name}`")
        name = getattr(layer, "name", type(layer).__name__)
        raise _LeftAloneError(f"its units go into `{name}`, a {kind}")

    def _norm_behind(self, call: Call) -> Any:
        (output,) = call.outputs
        readers = self.readers.get(id(output), ())
        if len(readers) != 1 or id(output) in self.outputs:
            return None
        activation = getattr(call.layer, "activation", None)
        if getattr(activation, "__name__", "linear") != "linear":
            return None
        layer = readers[0].layer
        return layer if type(layer).__name__ == "BatchNormalization" else None

    def _check_consumer(self, layer: Any, repeats: int) -> None:
        self._check_channels(layer)
        if getattr(layer, "groups", 1) != 1:
            raise _LeftAloneError(f"`{layer.name}` is a grouped convolution")
        if getattr(layer, "padding", "valid") not in ("valid", "same"):
            raise _LeftAloneError(f"`{layer.name}` pads by {layer.padding!r}")

    def _check_alone(self, layer: Any) -> None:
        if id(layer) in self.shared:
            raise _LeftAloneError(f"`{layer.name}` is called several times")

    def _check_channels(self, layer: Any) -> None:
        if getattr(layer, "data_format", None) == "channels_first":
            raise _LeftAloneError(f"`{layer.name}` has its channels first")

    def _check_activation(self, layer: Any) -> None:
        activation = getattr(layer, "activation", None)
        if activation is None:
            return
        name = getattr(activation, "__name__", type(activation).__name__)
        known = getattr(activation, "__module__", "").split(".")[0]
        if name not in _ELEMENTWISE or known not in ("keras", "tf_keras"):
            raise _LeftAloneError(f"`{layer.name}` may mix its units by {name}")


def _inputs(call: Call) -> Iterator[Any]:
    seen = set()
    for tensor in _tensors((call.args, call.kwargs)):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor


def _tensors(structure: Any) -> Iterator[Any]:
    from tfmot_sapp.export.keras_calls import tensors_of

    yield from tensors_of(structure)


def _has_matrix(layer: Any) -> bool:
    return any(
        len(weight.shape) > 1 for weight in getattr(layer, "weights", ())
    ) and not type(layer).__name__.startswith("Depthwise")
