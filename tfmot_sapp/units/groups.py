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

A group is hidden units that can be removed one by one: the layers that make
them, the layers with weights for each that carry them on (batch norms,
depthwise convolutions), and the layers whose kernels read them. Units that are
multiplied with each other, as a channel and its gate, go together, and so do
those that a layer reads in one call with those it reads in another. Removing a
unit takes an output from the first, a channel from the second and inputs from
the third. Units that go anywhere else are left alone.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.calls import Call, is_graph, is_nested, tensors_of
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.attention import number_of_units
from tfmot_sapp.frameworks.private.layers import layers_inside
from tfmot_sapp.frameworks.unfolding import names_in, unfolded_calls
from tfmot_sapp.frameworks.which_keras import check_model, host_value
from tfmot_sapp.units.carriers import (
    LeftAloneError,
    carry,
    check_activation,
    check_channels,
    has_own_weights,
    values_taken,
)
from tfmot_sapp.units.channels import UNMADE, Channels
from tfmot_sapp.units.heads import AttentionCall, read_attention
from tfmot_sapp.units.members import Consumer, Group, Groups, Member
from tfmot_sapp.units.surroundings import Surroundings

MAKERS = ("units", "separable")
ATTENTIONS = ("heads", "head_groups")


def find_groups(model: Any) -> Groups:
    """Finds the units of a model that can be removed.

    Nested models are seen through, and so are layers of Keras 3 that are made
    of others, as the blocks of a transformer.

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


@dataclasses.dataclass
class _Channeled:
    """A call of a layer that makes, carries or reads units, and their labels.

    Attributes:
        call: The call.
        labels: The labels of its channels.
    """

    call: Call
    labels: np.ndarray


class _Reader:
    def __init__(self, model: Any):
        self._calls = unfolded_calls(model)
        self._names = names_in(self._calls)
        self._around = Surroundings(self._calls, model.outputs)
        self._channels = Channels()
        self._made: list[_Channeled] = []
        self._carried: list[_Channeled] = []
        self._read: list[_Channeled] = []
        self._reasons: dict[int, str] = {}
        self._heads: dict[int, Group] = {}
        # The labels of a layer's first call, by its `id`.
        self._first_taken: dict[int, np.ndarray] = {}
        self._first_made: dict[int, np.ndarray] = {}
        self._model = model

    def read(self) -> Groups:
        for call in self._calls:
            self._pass_through(call)
        for tensor in self._model.outputs:
            self._channels.fix(
                self._channels.of(tensor),
                "its units are an output of the model",
            )
        groups = self._groups()
        members = {
            id(member.layer) for group in groups for member in group.members
        } - {id(consumer.layer) for g in groups for consumer in g.consumers}
        made = {id(maker.layer) for group in groups for maker in group.makers}
        left, layers = {}, {}
        for call in self._calls:
            key = id(call.layer)
            inside = self._inside(call)
            for layer in inside:
                left[layer.name] = f"it is inside `{call.layer.name}`"
                layers[layer.name] = layer
            reason = self._reasons.get(key)
            if reason and key not in made | members and not inside:
                left[self._names[key]] = reason
                layers[self._names[key]] = call.layer
        return Groups(tuple(groups), left, layers)

    def _inside(self, call: Call) -> list[Any]:
        """Returns the layers with matrices in a model that is one call."""
        layer = call.layer
        if not hasattr(layer, "layers") or not is_nested(layer):
            return []
        return [
            inner
            for inner in layers_inside(layer)
            if effect_of(inner) != "depthwise" and _has_matrix(inner)
        ]

    def _pass_through(self, call: Call) -> None:
        """Labels what a call gives."""
        layer, effect = call.layer, effect_of(call.layer)
        taken = values_taken(call)
        if effect in MAKERS:
            self._read_by(call, taken[0])
            self._made_by(call)
            return
        reason = None
        try:
            if self._around.is_shared(layer) and _has_weights(layer):
                if not has_own_weights(layer):
                    raise LeftAloneError(
                        f"`{layer.name}` is called several times"
                    )
                self._join_with_first(call, taken[0])
            if effect in ATTENTIONS:
                attention = read_attention(
                    call, self._around.total(call.outputs[0])
                )
                self._heads[id(call)] = self._group_of_heads(call, attention)
            labels = carry(call, self._channels)
        except LeftAloneError as error:
            labels, reason = None, str(error)
        if labels is None:
            self._stop_at(call, taken, reason)
            return
        if has_own_weights(layer) or effect == "reshape":
            units = self._channels.of(taken[0])
            self._carried.append(_Channeled(call, units))
        self._channels.put(call.outputs[0], labels)

    def _stop_at(
        self, call: Call, taken: Sequence[Any], reason: str | None
    ) -> None:
        """Notes that what goes into a call must stay, and what it gives."""
        layer = call.layer
        kind = type(layer).__name__
        effect = effect_of(layer)
        if effect in ATTENTIONS or effect == "depthwise":
            if reason is not None:
                self._reasons.setdefault(id(layer), reason)
        elif _has_matrix(layer):
            self._reasons.setdefault(id(layer), f"no units known in a {kind}")
        if reason is None or effect in ATTENTIONS:
            reason = f"its units go into `{layer.name}`, a {kind}"
        for tensor in taken:
            self._channels.fix(self._channels.of(tensor), reason)

    def _group_of_heads(self, call: Call, attention: AttentionCall) -> Group:
        units = number_of_units(call.layer)
        maker = Member(call.layer, np.arange(units), call.inside)
        name = self._names[id(call.layer)]
        return Group(name, units, (maker,), attention=attention)

    def _join_with_first(self, call: Call, taken: Any) -> None:
        """Makes what a layer takes one with what its first call took."""
        labels = self._channels.of(taken)
        first = self._first_taken.setdefault(id(call.layer), labels)
        if len(first) == len(labels):
            self._channels.join(first, labels)
        else:
            for each in (first, labels):
                self._channels.fix(
                    each, f"`{call.layer.name}` is called on several widths"
                )

    def _made_by(self, call: Call) -> None:
        layer = call.layer
        made = self._first_made.get(id(layer))
        if made is not None:
            # Whatever reads them in one call, they are the same units.
            self._channels.put(call.outputs[0], made)
            return
        labels = self._channels.new(int(call.outputs[0].shape[-1] or 0))
        self._first_made[id(layer)] = labels
        self._channels.put(call.outputs[0], labels)
        self._made.append(_Channeled(call, labels))
        try:
            check_channels(layer)
            if getattr(layer, "groups", 1) != 1:
                raise LeftAloneError("its convolution is grouped")
            check_activation(layer)
        except LeftAloneError as reason:
            self._channels.fix(labels, str(reason))

    def _read_by(self, call: Call, taken: Any) -> None:
        layer = call.layer
        labels = self._channels.of(taken)
        self._read.append(_Channeled(call, labels))
        self._join_with_first(call, taken)
        try:
            check_channels(layer)
            if getattr(layer, "groups", 1) != 1:
                raise LeftAloneError(f"`{layer.name}` is a grouped convolution")
            if getattr(layer, "padding", "valid") not in (
                "valid",
                "same",
                "causal",
            ):
                raise LeftAloneError(
                    f"`{layer.name}` pads by {layer.padding!r}"
                )
        except LeftAloneError as reason:
            self._channels.fix(labels, str(reason))

    def _groups(self) -> list[Group]:
        roots = {
            id(each): self._channels.roots(each.labels)
            for each in (*self._made, *self._carried, *self._read)
        }
        makers: dict[int, list[int]] = collections.defaultdict(list)
        for place, each in enumerate(self._made):
            for root in roots[id(each)].tolist():
                makers[root].append(place)
        units: dict[tuple[int, ...], list[int]] = collections.defaultdict(list)
        for place, each in enumerate(self._made):
            for root in roots[id(each)].tolist():
                reason = self._channels.reason(root)
                if len(set(makers[root])) < len(makers[root]):
                    reason = reason or UNMADE
                if reason is not None:
                    self._reasons.setdefault(id(each.call.layer), reason)
                elif makers[root][0] == place:
                    units[tuple(makers[root])].append(root)
        found = dict(self._heads)
        for of, members in sorted(units.items()):
            # Parts of what one layer makes may go with different layers.
            free = [p for p in of if id(self._made[p].call) not in found]
            if free:
                call = self._made[free[0]].call
                order = [free[0], *(p for p in of if p != free[0])]
                found[id(call)] = self._group(order, members, roots)
        order_of = {id(call.layer): i for i, call in enumerate(self._calls)}
        return sorted(
            found.values(),
            key=lambda group: min(order_of[id(m.layer)] for m in group.makers),
        )

    def _group(
        self,
        makers: Sequence[int],
        units: Sequence[int],
        roots: Mapping[int, np.ndarray],
    ) -> Group:
        index = {root: unit for unit, root in enumerate(units)}

        def unit_of(each: _Channeled) -> np.ndarray:
            return np.array(
                [index.get(r, -1) for r in roots[id(each)].tolist()]
            )

        def members(of: Sequence[_Channeled]) -> list[Member]:
            found = [
                Member(each.call.layer, unit_of(each), each.call.inside)
                for each in of
            ]
            return [member for member in found if len(member.places)]

        first = self._made[makers[0]].call
        consumers = []
        for each, member in (
            (each, Member(each.call.layer, unit_of(each), each.call.inside))
            for each in self._read
        ):
            if len(member.places):
                consumers.append(self._consumer(each.call, member, makers))
        return Group(
            self._names[id(first.layer)],
            len(units),
            tuple(members([self._made[place] for place in makers])),
            tuple(members(self._carried)),
            tuple(consumers),
            tensors_of(first.args)[0],
        )

    def _consumer(
        self, call: Call, member: Member, makers: Sequence[int]
    ) -> Consumer:
        tensor = values_taken(call)[0]
        path: tuple[Any, ...] = ()
        if len(makers) == 1:
            first = self._made[makers[0]].call
            path = self._around.layers_between(first, tensor)
        result, total, norm = call.outputs[0], None, None
        path = (*path, call.layer) if path else ()
        activation = getattr(call.layer, "activation", None)
        if getattr(activation, "__name__", "linear") == "linear":
            norm = self._around.norm_behind(result)
            if norm is not None:
                path = (*path, norm.layer) if path else ()
                result = norm.outputs[0]
            total = self._around.total(result)
        return Consumer(
            member.layer,
            member.unit_of,
            member.inside,
            tensor,
            None if norm is None else norm.layer,
            path,
            result,
            total,
            self._around.is_rectified(result if total is None else total),
        )


def _has_weights(layer: Any) -> bool:
    return bool(getattr(layer, "weights", ()))


def _has_matrix(layer: Any) -> bool:
    return any(
        len(weight.shape) > 1 for weight in getattr(layer, "weights", ())
    )
