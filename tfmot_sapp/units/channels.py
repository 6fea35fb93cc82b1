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
"""Which channels of a graph's tensors are one unit.

Every channel has a label. Layers that take each channel by itself pass labels
on, concatenations put them after each other, and what multiplies channels makes
their labels one: a channel and its gate can only go together.
"""

from typing import Any

import numpy as np

UNMADE = "its units meet channels that no layer makes"


class Channels:
    """The labels of the channels of symbolic tensors, on their last axes."""

    def __init__(self) -> None:
        self._parents = np.zeros(0, int)
        self._reasons: dict[int, str] = {}
        # The tensors are held, so that their `id`s stay theirs.
        self._labels: dict[int, tuple[Any, np.ndarray]] = {}

    @property
    def count(self) -> int:
        """Number of labels."""
        return len(self._parents)

    def new(self, count: int) -> np.ndarray:
        """Returns labels that nothing has yet."""
        start = len(self._parents)
        labels = np.arange(start, start + count)
        self._parents = np.concatenate([self._parents, labels])
        return labels

    def put(self, tensor: Any, labels: np.ndarray) -> None:
        """Gives labels to a tensor's channels."""
        self._labels[id(tensor)] = (tensor, labels)

    def of(self, tensor: Any) -> np.ndarray:
        """Returns the labels of a tensor's channels.

        Those of a tensor that got none, as an input, must stay; one of unknown
        extent has none.
        """
        if id(tensor) not in self._labels:
            shape = tuple(tensor.shape)
            labels = self.new(shape[-1] or 0 if len(shape) > 1 else 0)
            self.fix(labels, UNMADE)
            self.put(tensor, labels)
        return self._labels[id(tensor)][1]

    def fix(self, labels: np.ndarray, reason: str) -> None:
        """Notes that labels must stay, and why; the first reason counts."""
        for root in np.unique(self.roots(labels)):
            self._reasons.setdefault(int(root), reason)

    def reason(self, root: int) -> str | None:
        """Says why a label, as `roots` returns it, must stay."""
        return self._reasons.get(int(root))

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Makes labels one, pair by pair."""
        pairs = {*zip(one.tolist(), other.tolist())}
        for first, second in sorted(pairs):
            a, b = (int(self.roots(np.array([x]))[0]) for x in (first, second))
            if a == b:
                continue
            low, high = min(a, b), max(a, b)
            self._parents[high] = low
            reason = self._reasons.pop(high, None)
            if reason is not None and self._reasons.get(low, UNMADE) == UNMADE:
                self._reasons[low] = reason

    def roots(self, labels: np.ndarray) -> np.ndarray:
        """Returns for each label the one that stands for all joined with it."""
        roots = self._parents[labels]
        while True:
            further = self._parents[roots]
            if np.array_equal(further, roots):
                return roots
            roots = further
