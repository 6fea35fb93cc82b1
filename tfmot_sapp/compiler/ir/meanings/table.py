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
"""The table of the functions that compute what operations mean."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation

Arrays = Sequence[Any]
Meaning = Callable[[Operation, Arrays], list[np.ndarray]]

_MEANINGS: dict[str, Meaning] = {}
# Kinds that move elements and compute nothing, so that quantized ones stay
# what they stand for.
_MOVERS: set[str] = set()


def meaning(*kinds: str, moves: bool = False) -> Callable[[Meaning], Meaning]:
    """Enters a function in the table.

    Args:
        *kinds: The kinds of operations that it computes.
        moves: Whether it moves elements and computes nothing.

    Returns:
        A decorator that returns the function as it is.
    """

    def enter(function: Meaning) -> Meaning:
        for kind in kinds:
            _MEANINGS[kind] = function
        if moves:
            _MOVERS.update(kinds)
        return function

    return enter


def find_meaning(kind: str) -> Meaning | None:
    """Returns the function that computes a kind, `None` if there is none.

    Args:
        kind: The kind of the operation.
    """
    return _MEANINGS.get(kind)


def moves_elements(kind: str) -> bool:
    """Returns whether a kind moves elements and computes nothing.

    Args:
        kind: The kind of the operation.
    """
    return kind in _MOVERS


def known_kinds() -> list[str]:
    """Returns the kinds that have a meaning, in alphabetical order."""
    return sorted(_MEANINGS)
