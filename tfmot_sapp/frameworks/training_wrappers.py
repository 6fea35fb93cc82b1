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
"""Wrappers that exist during training only, which other verbs refuse."""

from collections.abc import Sequence
from typing import Any

from tfmot_sapp.frameworks.private.layers import all_layers

# By class name, with what removes them.
_WRAPPERS = {
    "PruneBlocks": "strip_pruning(model)",
    "PruneLowMagnitude": "TF-MOT's `strip_pruning` for prune_low_magnitude",
}


def check_unwrapped(model: Any) -> None:
    """Checks that no layer of a model is still wrapped for pruning.

    Args:
        model: A model of either Keras.

    Raises:
        ValueError: If one is.
    """
    for kind, remedy in _WRAPPERS.items():
        wrapped = [
            layer.name
            for layer in all_layers(model)
            if type(layer).__name__ == kind
        ]
        if wrapped:
            raise ValueError(
                "`model` has layers that are still wrapped for pruning; call "
                f"{remedy} first. Received: wrapped layers "
                f"{_shortened(wrapped)}."
            )


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
