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
"""Writes a planned graph as a Keras Functional model.

Every value is available in up to three forms, each made when it is first asked
for: its live runs as a list of pieces, one tensor of the live runs, and one
tensor of all channels with the constant ones filled in.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.analysis.channels import Channels
from tfmot_sapp.compiler.choose.explanation import Explanation
from tfmot_sapp.compiler.choose.plan import Plan, linear_arrays, linear_lowering
from tfmot_sapp.compiler.emit.packed_layer import packed_layer_class
from tfmot_sapp.compiler.graph import (
    Concat,
    Graph,
    Opaque,
    Packable,
    Taps,
    Value,
)
from tfmot_sapp.compiler.lowerings.join_cut_fill import Cut, Fill, Join
from tfmot_sapp.compiler.lowerings.lowering import Lowering
from tfmot_sapp.compiler.lowerings.piecewise import Channelwise, Shifts, Through
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)


def emit(
    graph: Graph,
    plan: Plan,
    explanation: Explanation,
    inputs: list[Any],
    keras: Any,
) -> list[Any]:
    """Calls the layers of the packed model on its inputs.

    Args:
        graph: The graph after all passes.
        plan: How to compute each of its nodes.
        explanation: What a report is to say about them.
        inputs: Symbolic tensors of the model's inputs.
        keras: The module, `keras` or `tf_keras`.

    Returns:
        Symbolic tensors of the model's outputs.
    """
    return _Emitter(graph, plan, explanation, inputs, keras).run()


@dataclasses.dataclass(eq=False)
class _Forms:
    pieces: list[Any] | None = None
    whole: Any = None
    full: Any = None
    fills: dict[int, Any] = dataclasses.field(default_factory=dict)
    ones: Any = None


class _Emitter:
    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        explanation: Explanation,
        inputs: list[Any],
        keras: Any,
    ):
        self.graph = graph
        self.plan = plan
        self.explanation = explanation
        self.keras = keras
        self.layer_class = packed_layer_class(keras)
        self.forms: dict[Value, _Forms] = {}
        self.shared: dict[tuple[Any, ...], Any] = {}
        self.names: set[str] = set()
        for value, tensor in zip(graph.inputs, inputs):
            self.forms[value] = _Forms(full=tensor)

    def run(self) -> list[Any]:
        for node in self.graph.nodes:
            if isinstance(node, Opaque):
                self._emit_opaque(node)
            elif isinstance(node, Concat):
                self._emit_concat(node)
            elif isinstance(node, Packable):
                self._emit_packable(node)
        return [self.full(value) for value in self.graph.outputs]

    # --- forms ----------------------------------------------------------------

    def channels(self, value: Value) -> Channels:
        return self.plan.channels[value]

    def full(self, value: Value) -> Any:
        forms, channels = self.forms[value], self.channels(value)
        if forms.full is None:
            runs = range(len(channels.constant))
            if channels.live == list(runs):
                forms.full = self.whole(value)
            else:
                made = [self.run_of(value, run) for run in runs]
                forms.full = self._call("join", Join(), made)[0]
        return forms.full

    def whole(self, value: Value) -> Any:
        forms, channels = self.forms[value], self.channels(value)
        if forms.whole is None:
            live = channels.live
            if forms.full is not None and len(live) == len(channels.constant):
                forms.whole = forms.full
            else:
                pieces = self.pieces(value)
                forms.whole = pieces[0]
                if len(pieces) > 1:
                    forms.whole = self._call("join", Join(), pieces)[0]
        return forms.whole

    def pieces(self, value: Value) -> list[Any]:
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
            if len(cuts) == 1 and cuts[0] == (0, source.shape[-1]):
                forms.pieces = [source]
            else:
                forms.pieces = self._call("cut", Cut(tuple(cuts)), [source])
        return forms.pieces

    def run_of(self, value: Value, run: int) -> Any:
        """One run, also where it's constant."""
        forms, channels = self.forms[value], self.channels(value)
        live = channels.live
        if run in live:
            return self.pieces(value)[live.index(run)]
        if run not in forms.fills:
            fill = channels.values[channels.span(run)]
            forms.fills[run] = self._fill(value, fill)
        return forms.fills[run]

    def _fill(self, value: Value, fill: np.ndarray) -> Any:
        forms = self.forms[value]
        like = forms.pieces[0] if forms.pieces else forms.whole
        like = forms.full if like is None else like
        lowering = Fill(len(fill))
        return self._call("fill", lowering, [like], [fill])[0]

    def ones(self, value: Value) -> Any:
        forms = self.forms[value]
        if forms.ones is None:
            forms.ones = self._fill(value, np.ones(1))
        return forms.ones

    # --- nodes ----------------------------------------------------------------

    def _emit_opaque(self, node: Opaque) -> None:
        results = node.call([self.full(value) for value in node.inputs])
        for value, tensor in zip(node.outputs, results):
            self.forms[value] = _Forms(full=tensor)

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
        self.forms[node.output] = _Forms(pieces=pieces)

    def _emit_packable(self, node: Packable) -> None:
        choice = self.plan.choices[node]
        value, after = node.inputs[0], node.output
        live = self.channels(after).live
        in_pieces = choice.in_form == "pieces"
        out_pieces = choice.out_form == "pieces"
        lowering: Lowering
        arrays: list[np.ndarray] = []
        if isinstance(node.core, Linear):
            if node.shared is not None:
                core = [self.full(value)]
            else:
                core = self.pieces(value) if in_pieces else [self.whole(value)]
            lowering = linear_lowering(node, choice, self.plan)
            arrays = linear_arrays(node, choice, self.plan, lowering)
            if node.core.border is not None:
                core = [*core, self.ones(value)]
        elif isinstance(node.core, Taps):
            core, lowering = self._shifts(node, live)
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
                core = self._call("join", Join(), runs)
                index = [self.plan.live_channels(after)]
            lowering, arrays = _channelwise(node, index)
        tensors = list(core)
        steps = []
        at = 1
        for step in node.steps:
            operands = node.inputs[at : at + step.operands]
            at += step.operands
            places = []
            for operand in operands:
                given, place = self._operand(
                    operand, live, out_pieces, len(tensors)
                )
                tensors += given
                places.append(place)
            steps.append(
                {
                    "kind": step.kind,
                    "layer": None
                    if step.kind == "add"
                    else self.keras.saving.serialize_keras_object(step.layer),
                    "operands": places,
                }
            )
        outputs = self._call(
            node.name,
            lowering,
            tensors,
            arrays,
            steps=steps,
            core_inputs=len(core),
            row=self.explanation.get(node),
            dtype=node.dtype,
            shared=node.shared,
        )
        forms = _Forms()
        if node.shared is not None:
            forms.full = outputs[0]
        elif out_pieces:
            forms.pieces = outputs
        else:
            forms.whole = outputs[0]
            if len(live) == len(self.channels(after).constant):
                forms.full = outputs[0]
        self.forms[after] = forms

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
        self, value: Value, live: list[int], out_pieces: bool, first: int
    ) -> tuple[list[Any], list[int | None]]:
        channels = self.channels(value)
        if not out_pieces:
            if channels.live == live:
                return [self.whole(value)], [first]
            runs = [self.run_of(value, run) for run in live]
            return self._call("join", Join(), runs), [first]
        given: list[Any] = []
        places: list[int | None] = []
        for run in live:
            span = channels.span(run)
            if channels.constant[run] and not channels.values[span].any():
                places.append(None)
                continue
            places.append(first + len(given))
            given.append(self.run_of(value, run))
        return given, places

    def _call(
        self,
        name: str,
        lowering: Lowering,
        tensors: Sequence[Any],
        arrays: Sequence[np.ndarray] = (),
        steps: Sequence[dict[str, Any]] = (),
        core_inputs: int | None = None,
        row: dict[str, Any] | None = None,
        dtype: Any = None,
        shared: int | None = None,
    ) -> list[Any]:
        key = (shared, repr(lowering), repr(steps))
        layer = self.shared.get(key) if shared is not None else None
        if layer is None:
            layer = self.layer_class(
                lowering.get_config(),
                steps,
                len(tensors) if core_inputs is None else core_inputs,
                row,
                name=self._unique(name),
                dtype=dtype,
            )
            layer.build(None)
            for weight, array in zip(layer.weights, arrays):
                weight.assign(np.asarray(array).reshape(weight.shape))
            if shared is not None:
                self.shared[key] = layer
        outputs = layer(list(tensors))
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def _unique(self, name: str) -> str:
        name = name.replace("/", "_")
        unique, number = name, 0
        while unique in self.names:
            number += 1
            unique = f"{name}_{number}"
        self.names.add(unique)
        return unique


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
