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
"""Writes a planned graph, node by node, whatever it is written for."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.plan import (
    Plan,
    linear_arrays,
    linear_lowering,
    summand_in_bias,
)
from tfmot_sapp.compiler.choose.tables import table_arrays, table_lowering
from tfmot_sapp.compiler.emit.computation import Computation, Places
from tfmot_sapp.compiler.emit.value_forms import Forms, ValueForms
from tfmot_sapp.compiler.graph import (
    Concat,
    Graph,
    Opaque,
    Packable,
    Part,
    Step,
    Table,
    Taps,
    Value,
)
from tfmot_sapp.compiler.lowerings.join_cut_fill import Join
from tfmot_sapp.compiler.lowerings.lowering import Lowering
from tfmot_sapp.compiler.lowerings.piecewise import Channelwise, Shifts, Through
from tfmot_sapp.compiler.lowerings.products import Products
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)


class Emitter(ValueForms):
    """Writes the nodes of a graph in their order.

    Args:
        graph: The graph after all passes.
        plan: How to compute each of its nodes.
        inputs: Tensors of the graph's inputs.
    """

    def __init__(self, graph: Graph, plan: Plan, inputs: Sequence[Any]):
        super().__init__(plan)
        self.graph = graph
        for value, tensor in zip(graph.inputs, inputs):
            self.forms[value] = Forms(full=tensor)

    @abc.abstractmethod
    def pass_through(self, node: Opaque, tensors: list[Any]) -> list[Any]:
        """Writes what passes through as it is; returns its outputs."""

    def run(self) -> list[Any]:
        """Writes the whole graph; returns the tensors of its outputs."""
        for node in self.graph.nodes:
            if isinstance(node, Opaque):
                tensors = [self.full(value) for value in node.inputs]
                results = self.pass_through(node, tensors)
                for value, tensor in zip(node.outputs, results):
                    self.forms[value] = Forms(full=tensor)
            elif isinstance(node, Concat):
                self._emit_concat(node)
            elif isinstance(node, Part):
                self._emit_part(node)
            elif isinstance(node, Packable):
                self._emit_packable(node)
        return [self.full(value) for value in self.graph.outputs]

    def _emit_part(self, node: Part) -> None:
        whole = self.channels(node.inputs[0])
        first = int(np.searchsorted(whole.edges, node.begin))
        live = self.channels(node.output).live
        runs = [self.run_of(node.inputs[0], first + run) for run in live]
        self.forms[node.output] = Forms(pieces=runs)

    def _emit_concat(self, node: Concat) -> None:
        live = self.channels(node.output).live
        pieces, first = [], 0
        for value in node.inputs:
            runs = len(self.channels(value).constant)
            pieces += [
                self.run_of(value, run)
                for run in range(runs)
                if first + run in live
            ]
            first += runs
        self.forms[node.output] = Forms(pieces=pieces)

    def _emit_packable(self, node: Packable) -> None:
        choice = self.plan.choices[node]
        value, after = node.inputs[0], node.output
        live = self.channels(after).live
        in_pieces = choice.in_form == "pieces"
        out_pieces = choice.out_form == "pieces"
        lowering: Lowering
        arrays: list[np.ndarray] = []
        swapped: list[int] = []
        held = summand_in_bias(node, choice, self.plan)
        if isinstance(node.core, Linear):
            if node.shared is not None:
                core = [self.full(value)]
            else:
                core = self.pieces(value) if in_pieces else [self.whole(value)]
            lowering = linear_lowering(node, choice, self.plan)
            arrays = linear_arrays(node, choice, self.plan, lowering)
            if node.core.border is not None:
                core = [*core, self.ones(value)]
            if isinstance(lowering, Products):
                swapped = [
                    run
                    for run, groups in zip(live, lowering.reads)
                    if not groups
                ]
                summands = [self.run_of(node.inputs[1], r) for r in swapped]
                core = [*core, *summands]
        elif isinstance(node.core, Taps):
            core, lowering = self._shifts(node, live)
        elif isinstance(node.core, Table):
            core = [self.full(value)]
            looked_up = table_lowering(node, choice, self.plan)
            arrays = table_arrays(node, choice, self.plan, looked_up)
            lowering = looked_up
        else:
            if out_pieces:
                core = [self.run_of(value, run) for run in live]
                spans = [self.channels(value).span(run) for run in live]
                index = [np.arange(s.start, s.stop) for s in spans]
            elif self.channels(value).live == live:
                core = [self.whole(value)]
                index = [self.plan.live_channels(after)]
            else:
                runs = [self.run_of(value, run) for run in live]
                core = self._copy("join", Join(), runs)
                index = [self.plan.live_channels(after)]
            lowering, arrays = _channelwise(node, index)
        tensors = list(core)
        steps = []
        at = 1
        for step in node.steps:
            operands = node.inputs[at : at + step.operands]
            places = []
            for number, operand in enumerate(operands, at):
                count = len(live) if out_pieces else 1
                if node.meets_all(operand):
                    given: list[Any] = [self.full(operand)]
                    place: Places = [len(tensors)] * count
                else:
                    taken = swapped + held if number == 1 else []
                    given, place = self._operand(
                        operand, live, out_pieces, len(tensors), step, taken
                    )
                tensors += given
                places.append(place)
            at += step.operands
            steps.append((step, places))
        outputs = self.compute(
            Computation(
                node.name,
                lowering,
                tensors,
                len(core),
                arrays,
                steps,
                self.plan.pieces(after, choice.out_form),
                node,
            )
        )
        forms = Forms()
        if node.shared is not None:
            forms.full = outputs[0]
        elif out_pieces:
            forms.pieces = self._fill_known(after, outputs)
        else:
            forms.whole = outputs[0]
            if len(live) == len(self.channels(after).constant):
                forms.full = outputs[0]
        self.forms[after] = forms

    def _fill_known(self, value: Value, pieces: list[Any]) -> list[Any]:
        """Pieces, with constants for those that are always the same."""
        channels = self.channels(value)
        known = [channels.known[run] for run in channels.live]
        if all(known):
            return pieces
        like = pieces[known.index(False)]
        spans = map(channels.span, channels.live)
        return [
            self._filled(channels.values[span], like) if is_known else piece
            for piece, span, is_known in zip(pieces, spans, known)
        ]

    def _shifts(
        self, node: Packable, live: list[int]
    ) -> tuple[list[Any], Lowering]:
        core = node.core
        assert isinstance(core, Taps)
        value = node.inputs[0]
        runs = len(self.channels(value).constant)
        used = sorted({run % runs for run in live})
        shifts = list(np.ndindex(*core.taps))
        dilation = core.window.dilation
        pieces = tuple(
            (
                used.index(run % runs),
                tuple(
                    int(step * d)
                    for step, d in zip(shifts[run // runs], dilation)
                ),
            )
            for run in live
        )
        reach = tuple((t - 1) * d for t, d in zip(core.taps, dilation))
        lowering = Shifts(
            core.frame, core.window.strides, core.extent, reach, pieces
        )
        return [self.run_of(value, run) for run in used], lowering

    def _operand(
        self,
        value: Value,
        live: list[int],
        out_pieces: bool,
        first: int,
        step: Step,
        taken: list[int],
    ) -> tuple[list[Any], Places]:
        channels = self.channels(value)
        if not out_pieces:
            if channels.live == live:
                return [self.whole(value)], [first]
            runs = [self.run_of(value, run) for run in live]
            return self._copy("join", Join(), runs), [first]
        given: list[Any] = []
        places: Places = []
        for run in live:
            span = channels.span(run)
            silent = channels.constant[run] and not channels.values[span].any()
            if run in taken or (step.kind == "add" and silent):
                places.append(None)
                continue
            places.append(first + len(given))
            given.append(self.run_of(value, run))
        return given, places


def _channelwise(
    node: Packable, index: list[np.ndarray]
) -> tuple[Lowering, list[np.ndarray]]:
    core = node.core
    if core is None:
        return Through(), []
    assert isinstance(core, Scale | Depthwise)
    widths = tuple(len(each) for each in index)
    if isinstance(core, Scale):
        kernel, bias = core.factor, core.offset
        lowering = Channelwise((), (), widths)
    else:
        kernel, bias = core.kernel, core.bias
        window = core.window
        lowering = Channelwise(
            core.taps,
            (window.strides, window.padding, window.dilation),
            widths,
        )
    arrays = []
    for each in index:
        arrays += [kernel[..., each], bias[each]]
    return lowering, arrays
