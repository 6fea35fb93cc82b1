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
"""Models of which parts come apart, where units go inside of them."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from tfmot_sapp.frameworks.comparing import check_same_outputs
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.frameworks.unfolding import opened
from tfmot_sapp.units.groups import find_groups
from tfmot_sapp.units.members import Group, Groups


def opened_for(
    model: Any, found: Groups, names: Iterable[str] | None = None
) -> tuple[Any, Groups]:
    """Puts the layers inside of others in a model's own graph.

    What loses units must be made anew, and layers of several say nowhere how
    large those in them are. So these layers come in their place, and so do
    nested models; those that stay whole stay as they are.

    Args:
        model: A model.
        found: Its groups.
        names: Names or patterns of the groups of which units are to go.
            Defaults to `None`: all of them.

    Returns:
        The model, or a copy of it, and its groups without those that are inside
        of what can't be taken apart.
    """
    groups = [group for group in found.groups if _is_meant(group, names)]
    boxes = {
        id(box)
        for group in groups
        for member in group.members
        for box in member.inside
    }
    if not boxes:
        return model, found
    reason = None
    try:
        copy = opened(model, boxes)
        # A layer of which only the whole model knows how it was made can't be
        # copied once the model's class is gone.
        check_same_outputs(model, same_layer(copy))
        model, found = copy, find_groups(copy)
    except Exception as error:
        # Whatever its `call` does when it runs on symbolic tensors.
        reason = f"can't be taken apart: {error}"
    return model, _without(found, names, reason)


def _is_meant(group: Group, names: Iterable[str] | None) -> bool:
    return names is None or any(
        fnmatch.fnmatchcase(group.name, name) for name in names
    )


def _without(
    found: Groups, names: Iterable[str] | None, reason: str | None
) -> Groups:
    """Leaves alone what is still inside of something."""
    kept, left, layers = [], dict(found.left_alone), dict(found.layers)
    for group in found.groups:
        boxes = [box for member in group.members for box in member.inside]
        if not boxes or not _is_meant(group, names):
            kept.append(group)
            continue
        why = reason or (
            "must know the extents of its inputs: make the model with inputs "
            "of known shape, perhaps the number of samples in it "
            "(`batch_shape`)"
        )
        left[group.name] = f"it is inside `{boxes[0].name}`, which {why}"
        layers[group.name] = group.producer
    return dataclasses.replace(
        found, groups=tuple(kept), left_alone=left, layers=layers
    )


def reasons_by_layer(
    model: Any, left_alone: Mapping[str, str]
) -> dict[int, str]:
    """Returns why units of a model's layers are left alone, by their `id`s.

    Args:
        model: A model, perhaps a smaller one than the groups were found in.
        left_alone: Reasons by the names of layers and groups.
    """
    found = find_groups(model)
    layers = dict(found.layers)
    layers.update((group.name, group.producer) for group in found.groups)
    return {
        id(layers[name]): reason
        for name, reason in left_alone.items()
        if name in layers
    }
