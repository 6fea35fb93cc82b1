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
"""How much a network's outputs depend on each output of a layer.

Errors of a layer's outputs are not equally bad: a head of an attention may
hardly be listened to, a channel may be multiplied by little. To second order,
an error `e` of a layer's output changes what the network says by

    tr(E[g g'] e e') / 2,

with `g` the gradient of the log likelihood of an answer drawn from the
network's own (the Fisher matrix; Theis et al., "Faster Gaze Prediction with
Dense Networks and Fisher Pruning", arXiv 1801.05787). Its diagonal, averaged
over places, is what errors are multiplied by where blocks of different outputs
are weighed against each other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.calibration.fitting import Target
from tfmot_sapp.calibration.places import places_of
from tfmot_sapp.calibration.programs import Program, covered
from tfmot_sapp.calibration.sensitivity import are_probabilities
from tfmot_sapp.calibration.sweep import Held

# Samples that gradients are taken of at once: all values between layers are
# held for as long.
_SLICE = 8


def squared_gradients(
    program: Program,
    targets: Sequence[Target],
    batches: Sequence[Sequence[Held]],
    samples: int,
    logits: bool,
    seed: int,
    done: Callable[..., None],
) -> dict[str, np.ndarray]:
    """Returns the mean squared gradient of each kernel's outputs.

    Args:
        program: The original's calls.
        targets: The kernels.
        batches: Batches of inputs.
        samples: About how many samples gradients are taken of.
        logits: Whether the model's outputs are logits of classes.
        seed: Seed of the answers that are drawn.
        done: Called after each slice of the samples.

    Returns:
        Array (outputs,) by the kernels' names; those are missing whose
        gradient can't be seen.
    """
    answers = _Answers(logits, seed)
    sums: dict[str, np.ndarray] = {}
    count = 0
    for inputs in _slices(batches, samples):
        size = len(inputs[0])
        count += size
        for name, squares in _squares(
            program, targets, inputs, answers
        ).items():
            sums[name] = sums.get(name, 0.0) + size * squares
        done()
    return {
        name: total / count
        for name, total in sums.items()
        if np.isfinite(total).all() and total.any()
    }


def number_of_slices(batches: Sequence[Sequence[Held]], samples: int) -> int:
    """Returns how often `done` is called."""
    return sum(1 for _ in _ranges(batches, samples))


def _ranges(batches: Sequence[Sequence[Held]], samples: int) -> Any:
    # Of every batch as much: they may be sorted by something.
    each = -(-samples // len(batches))
    for batch in batches:
        stop = min(each, batch[0].samples)
        for start in range(0, stop, _SLICE):
            yield batch, start, min(start + _SLICE, stop)


def _slices(batches: Sequence[Sequence[Held]], samples: int) -> Any:
    for batch, start, stop in _ranges(batches, samples):
        yield [
            value.get()[start:stop] if value.samples > 1 else value.get()
            for value in batch
        ]


def _squares(
    program: Program,
    targets: Sequence[Target],
    inputs: Sequence[Any],
    answers: "_Answers",
) -> dict[str, np.ndarray]:
    """Sums the squared gradients over a slice of the samples."""
    owners = {id(t.original): t.original for t in targets}
    moved: dict[int, list[tuple[Any, Any]]] = {key: [] for key in owners}
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def cover(owner: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            return _moving(owner, call, tape, moved[id(owner)])

        with covered(list(owners.values()), cover):
            outputs = _run(program, inputs)
        answer = answers.of(outputs)
    once = [key for key, moves in moved.items() if len(moves) == 1]
    deltas = [moved[key][0][1] for key in once]
    gradients = dict(zip(once, tape.gradient(answer, deltas)))
    found = {}
    for target in targets:
        gradient = gradients.get(id(target.original))
        if gradient is None:
            continue
        shape = moved[id(target.original)][0][0]
        places = places_of(target.blocks.kernel, shape)
        every = np.tile(np.arange(places.count), (shape[0], 1))
        rows = places.outputs(np.asarray(gradient, np.float64), every)
        found[target.name] = np.square(rows).mean(axis=0)
    return found


def _moving(
    owner: Any,
    call: Callable[..., Any],
    tape: tf.GradientTape,
    moves: list[tuple[Any, Any]],
) -> Callable[..., Any]:
    """Returns `call` with something of no size added before the activation."""

    def moving(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        activation = getattr(owner, "activation", None)
        if activation is not None:
            object.__setattr__(owner, "activation", None)
        try:
            outputs = call(inputs, *args, **kwargs)
        finally:
            if activation is not None:
                object.__setattr__(owner, "activation", activation)
        # What is traced into a graph of its own can't be differentiated here.
        if hasattr(outputs, "numpy"):
            delta = tf.zeros_like(outputs)
            tape.watch(delta)
            moves.append((tuple(inputs.shape), delta))
            outputs = outputs + delta
        return outputs if activation is None else activation(outputs)

    return moving


def _run(program: Program, inputs: Sequence[Any]) -> list[Any]:
    values = dict(zip(program.inputs, inputs))
    for step in program.steps:
        made = step.run([values[place] for place in step.reads])
        values.update(zip(step.writes, made))
    return [tf.cast(values[place], tf.float32) for place in program.outputs]


class _Answers:
    """Draws answers from what a network puts out."""

    def __init__(self, logits: bool, seed: int):
        self._logits = logits
        self._rng = np.random.default_rng(seed)
        self._spreads: list[float] = []

    def of(self, outputs: Sequence[Any]) -> Any:
        """Returns the log likelihood of an answer, the sum over outputs."""
        if not self._spreads:
            # The same for all slices, so that these count the same.
            spreads = [float(np.std(output)) for output in outputs]
            self._spreads = [max(spread, 1e-12) for spread in spreads]
        return tf.add_n(
            [self._one(*each) for each in zip(outputs, self._spreads)]
        )

    def _one(self, output: Any, spread: float) -> Any:
        value = np.asarray(output, np.float64)
        is_classes = are_probabilities(value)
        if is_classes or (self._logits and value.shape[-1] > 1):
            log = tf.math.log(tf.maximum(output, 1e-12))
            log = log if is_classes else tf.nn.log_softmax(output)
            drawn = tf.one_hot(self._classes(np.exp(log)), value.shape[-1])
            return tf.reduce_sum(log * drawn)
        # A normal distribution around the output, all of one variance.
        noise = self._rng.normal(size=value.shape).astype(np.float32)
        return tf.reduce_sum(output * noise) / spread

    def _classes(self, chances: np.ndarray) -> np.ndarray:
        upto = np.cumsum(chances, axis=-1, dtype=np.float64)
        drawn = self._rng.random((*upto.shape[:-1], 1)) * upto[..., -1:]
        return np.minimum((upto < drawn).sum(axis=-1), upto.shape[-1] - 1)
