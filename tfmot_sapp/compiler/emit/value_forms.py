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
"""The forms in which values are available while a graph is written.

Every value is available in up to three, each made when it is first asked for:
its live runs as a list of pieces, one tensor of the live runs, and one tensor
of all channels with the constant ones filled in.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.analysis.channels import Channels
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.emit.computation import Computation
from tfmot_sapp.compiler.graph import Value
from tfmot_sapp.compiler.lowerings.join_cut_fill import Cut, Fill, Join
from tfmot_sapp.compiler.lowerings.lowering import Lowering


@dataclasses.dataclass(eq=False)
class Forms:
    """The forms in which a value is available so far.

    Attributes:
        pieces: Its live runs.
        whole: One tensor of them.
        full: One tensor of all channels.
        fills: Runs that are constant.
        ones: A channel of ones in the shape of the value.
    """

    pieces: list[Any] | None = None
    whole: Any = None
    full: Any = None
    fills: dict[int, Any] = dataclasses.field(default_factory=dict)
    ones: Any = None

    @property
    def any_tensor(self) -> Any:
        """A tensor that has the value's positions."""
        (first, *_) = self.pieces or [self.whole]
        return self.full if first is None else first


class ValueForms(abc.ABC):
    """Makes the forms of values.

    Args:
        plan: What is known of the values' channels.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.forms: dict[Value, Forms] = {}

    @abc.abstractmethod
    def compute(self, computation: Computation) -> list[Any]:
        """Writes a lowering and its steps; returns the output pieces."""

    @abc.abstractmethod
    def width(self, tensor: Any) -> int:
        """Extent of a tensor's last axis."""

    def channels(self, value: Value) -> Channels:
        """What is known of its channels."""
        return self.plan.channels[value]

    def full(self, value: Value) -> Any:
        """One tensor of all channels."""
        forms, channels = self.forms[value], self.channels(value)
        if forms.full is None:
            runs = range(len(channels.constant))
            if channels.live == list(runs):
                forms.full = self.whole(value)
            else:
                made = [self.run_of(value, run) for run in runs]
                forms.full = self._copy("join", Join(), made)[0]
        return forms.full

    def whole(self, value: Value) -> Any:
        """One tensor of the live runs."""
        forms, channels = self.forms[value], self.channels(value)
        if forms.whole is None:
            live = channels.live
            if forms.full is not None and len(live) == len(channels.constant):
                forms.whole = forms.full
            else:
                pieces = self.pieces(value)
                forms.whole = pieces[0]
                if len(pieces) > 1:
                    forms.whole = self._copy("join", Join(), pieces)[0]
        return forms.whole

    def pieces(self, value: Value) -> list[Any]:
        """The live runs."""
        forms, channels = self.forms[value], self.channels(value)
        if forms.pieces is None:
            live = channels.live
            if forms.full is not None:
                source = forms.full
                spans = [channels.span(run) for run in live]
                cuts = [(span.start, span.stop) for span in spans]
            else:
                source = forms.whole
                ends = np.cumsum([0, *(channels.width(run) for run in live)])
                cuts = list(zip(ends[:-1].tolist(), ends[1:].tolist()))
            if len(cuts) == 1 and cuts[0] == (
                0,
                self.width(source),
            ):
                forms.pieces = [source]
            else:
                forms.pieces = self._copy("cut", Cut(tuple(cuts)), [source])
        return forms.pieces

    def run_of(self, value: Value, run: int) -> Any:
        """One run, also where it's constant."""
        forms, channels = self.forms[value], self.channels(value)
        live = channels.live
        if run in live:
            return self.pieces(value)[live.index(run)]
        if run not in forms.fills:
            fill = channels.values[channels.span(run)]
            # Without a bias, all of them are zero.
            same = (
                other
                for known, other in forms.fills.items()
                if np.array_equal(channels.values[channels.span(known)], fill)
            )
            found = next(same, None)
            forms.fills[run] = (
                self._fill(value, fill) if found is None else found
            )
        return forms.fills[run]

    def _fill(self, value: Value, fill: np.ndarray) -> Any:
        return self._filled(fill, self.forms[value].any_tensor)

    def _filled(self, fill: np.ndarray, like: Any) -> Any:
        return self._copy("fill", Fill(len(fill)), [like], [fill])[0]

    def ones(self, value: Value) -> Any:
        """A channel of ones."""
        forms = self.forms[value]
        if forms.ones is None:
            forms.ones = self._fill(value, np.ones(1))
        return forms.ones

    def _copy(
        self,
        name: str,
        lowering: Lowering,
        tensors: Sequence[Any],
        arrays: Sequence[np.ndarray] = (),
    ) -> list[Any]:
        tensors = list(tensors)
        return self.compute(
            Computation(name, lowering, tensors, len(tensors), arrays)
        )
