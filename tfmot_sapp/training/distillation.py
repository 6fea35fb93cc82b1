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
"""`Distillation`: a little training of a sparse model, without labels.

A pruned model is trained towards what the dense one gives (Hinton et al.,
"Distilling the Knowledge in a Neural Network", arXiv 1503.02531), and its zeros
stay zeros.
"""

import dataclasses
import fnmatch
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import (
    check_count,
    check_flag,
    check_instance,
    check_real,
    check_steps,
    check_whole,
)
from tfmot_sapp.base.container_checks import check_tuple
from tfmot_sapp.base.patterns import check_patterns
from tfmot_sapp.base.progress import Progress
from tfmot_sapp.base.wording import received
from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.sensitivity import are_probabilities
from tfmot_sapp.calibration.sweep import Store
from tfmot_sapp.frameworks.calls import calls_of, is_graph
from tfmot_sapp.frameworks.private.layers import functional_of, structure_of
from tfmot_sapp.frameworks.which_keras import (
    check_model,
    host_value,
    is_layer,
    keras_of,
)


@dataclasses.dataclass(frozen=True)
class Distillation:
    """Trains a pruned model towards the dense one's own outputs.

    To be passed as `distill` to `tfmot_sapp.prune_post_training`, or called on
    a model that `tfmot_sapp.strip_pruning` returned. Batch norms keep their
    statistics. Outputs of classes, as probabilities or logits, are compared by
    their divergence at a temperature; any others, by their squared difference
    over the dense model's variance. Adam (arXiv 1412.6980) lowers it, with a
    learning rate that falls as a cosine.

    A few samples are soon learned by heart where the outputs are few numbers.
    What layers within give says much more of each sample ("TinyBERT", arXiv
    1909.10351, Section 3.1): with `features` the mean of their squared
    differences, each over the dense model's variance, is added.

    Args:
        steps: Number of steps, at least 1.
        batch_size: Samples a step, at least 1.
        learning_rate: The first learning rate, above 0.
        temperature: What logits are divided by, above 0.
        logits: Whether outputs are logits of classes.
        seed: Seed of the order of the samples.
        features: Names of layers, or patterns of them, whose outputs are
            compared as well. The models must be Functional or Sequential then,
            and what such layers give for all data is held in memory. Defaults
            to none.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:

    >>> Distillation(steps=100, features=["block_*"]).temperature
    2.0
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 1e-4
    temperature: float = 2.0
    logits: bool = False
    seed: int = 0
    features: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Checks the arguments."""
        steps = check_steps(self.steps, "steps", least=1)
        object.__setattr__(self, "steps", steps)
        check_count(self.batch_size, "batch_size")
        check_real(self.learning_rate, "learning_rate", above=0)
        check_real(self.temperature, "temperature", above=0)
        check_flag(self.logits, "logits")
        check_whole(self.seed, "seed", least=0)
        features = check_tuple(
            self.features, "features", _check_name, "a list of layers' names"
        )
        object.__setattr__(self, "features", features)

    def __call__(
        self, pruned: Any, dense: Any, data: Any, verbose: bool = True
    ) -> Any:
        """Trains a pruned model in place.

        Args:
            pruned: A plain model with zeros in its kernels.
            dense: The model whose outputs are wanted.
            data: Inputs, as for `tfmot_sapp.prune_post_training`.
            verbose: Whether progress is shown.

        Returns:
            `pruned`.

        Raises:
            TypeError: If one of the two is no model.
            ValueError: If the data have no sample or don't fit the model.
        """
        check_model(pruned, "pruned")
        check_model(dense, "dense")
        visible = check_flag(verbose, "verbose")
        with Store(math.inf) as store, Progress(visible) as progress:
            batches, structure = held_batches(
                dense, data, self.batch_size, store
            )
            inputs = [[value.get() for value in batch] for batch in batches]
            distill_to(dense, pruned, inputs, structure, self, progress)
        return pruned


def distill_to(
    dense: Any,
    pruned: Any,
    batches: Sequence[Sequence[Any]],
    structure: Any,
    how: Distillation,
    progress: Progress,
) -> None:
    """Trains `pruned` towards the outputs of `dense`, in place.

    Args:
        dense: The model whose outputs are wanted.
        pruned: The model that is trained.
        batches: Batches of inputs, a tensor for each of the models' inputs.
        structure: The structure that the models take them in.
        how: Steps, batch size, learning rate and temperature.
        progress: Where progress is shown.

    Raises:
        ValueError: If the loss doesn't stay finite. The weights are then what
            they were.
    """
    trained = [
        _tensor_of(pruned, variable) for variable in pruned.trainable_variables
    ]
    inner = 0
    if how.features:
        dense, inner = _with_features(dense, how.features)
        pruned, _ = _with_features(pruned, how.features)
    groups = _Group.of(dense, batches, structure)
    columns = list(zip(*(group.targets for group in groups)))
    own = len(columns) - inner
    losses = [_loss(targets, how) for targets in columns[:own]]
    losses += [_squares(targets, 1 / inner) for targets in columns[own:]]
    step = _step(pruned, structure, trained, losses)
    before = [variable.numpy() for variable in trained]
    rng = np.random.default_rng(how.seed)
    samples = np.array([group.samples for group in groups])
    shown = progress.start("distilling", how.steps)
    for turn in range(how.steps):
        which = 0
        if len(groups) > 1:
            which = int(rng.choice(len(groups), p=samples / samples.sum()))
        group = groups[which]
        at = group.draw(how.batch_size, rng)
        rate = (1 + math.cos(math.pi * turn / how.steps)) / 2
        loss = step(
            [tf.constant(array[at]) for array in group.inputs],
            [tf.constant(array[at]) for array in group.targets],
            tf.constant(how.learning_rate * rate, tf.float32),
            tf.constant(turn + 1, tf.float32),
        )
        shown(f"distilling, loss {float(loss):.3g}")
        if not np.isfinite(loss):
            break
    weights = [variable.numpy() for variable in trained]
    if not all(np.isfinite(value).all() for value in (loss, *weights)):
        for variable, value in zip(trained, before):
            variable.assign(value)
        raise ValueError(
            "`distill` must train at a `learning_rate` that is small enough "
            f"for the loss to stay finite. Received: learning_rate="
            f"{how.learning_rate:g}, and a loss of {float(loss):g} or weights "
            f"that are NaN or infinite at step {turn + 1}."
        )


def _check_name(value: Any, name: str) -> str:
    check_instance(value, name, str, "a list of layers' names")
    return str(value)


def _with_features(model: Any, names: Sequence[str]) -> tuple[Any, int]:
    """Returns a model that gives more: what some layers within it give.

    Args:
        model: A model.
        names: The layers' names, or patterns of them.

    Returns:
        A model of the same weights, and how many outputs more it has.
    """
    if not is_graph(model):
        raise ValueError(
            "`features` must be left out for a model that is neither "
            f"Functional nor Sequential. {received('features', names)}"
        )
    functional = functional_of(model)
    calls = [call for call in calls_of(functional) if is_layer(call.layer)]
    check_patterns(
        dict.fromkeys(names), (call.layer.name for call in calls), "features"
    )
    found = [
        tensor
        for call in calls
        if any(fnmatch.fnmatchcase(call.layer.name, name) for name in names)
        for tensor in call.outputs
    ]
    keras: Any = keras_of(model)
    outputs = [*functional.outputs, *found]
    return keras.Model(structure_of(functional, "inputs"), outputs), len(found)


@dataclasses.dataclass
class _Group:
    """Samples of one shape, such as sentences of one length.

    Attributes:
        inputs: An array for each of the models' inputs.
        targets: What the dense model gives for them, output by output.
    """

    inputs: list[np.ndarray]
    targets: list[np.ndarray]

    def __post_init__(self) -> None:
        self.samples = len(self.inputs[0])
        self._order: list[int] = []

    @classmethod
    def of(
        cls, dense: Any, batches: Sequence[Sequence[Any]], structure: Any
    ) -> "list[_Group]":
        """Puts batches of one shape together."""
        rows: dict[Any, list[list[np.ndarray]]] = {}
        for batch in batches:
            outputs = _outputs(dense, batch, structure)
            values = [np.asarray(x) for x in (*batch, *outputs)]
            shapes = tuple(value.shape[1:] for value in values)
            rows.setdefault(shapes, []).append(values)
        found = []
        for same in rows.values():
            columns = [np.concatenate(column) for column in zip(*same)]
            inputs = len(batches[0])
            found.append(cls(columns[:inputs], columns[inputs:]))
        return found

    def draw(self, size: int, rng: np.random.Generator) -> list[int]:
        """Returns the next samples; all come up equally often."""
        while len(self._order) < min(size, self.samples):
            self._order += rng.permutation(self.samples).tolist()
        at, self._order = self._order[:size], self._order[size:]
        return at


def _tensor_of(model: Any, variable: Any) -> tf.Variable:
    # A variable of Keras 3 holds one of TensorFlow's.
    keras: Any = keras_of(model)
    return variable.value if keras.__name__ == "keras" else variable


def _outputs(model: Any, batch: Sequence[Any], structure: Any) -> list[Any]:
    values = tf.nest.pack_sequence_as(structure, list(batch))
    outputs = model(values, training=False)
    return [tf.cast(x, tf.float32) for x in tf.nest.flatten(outputs)]


def _loss(targets: Sequence[np.ndarray], how: Distillation) -> Any:
    """Returns the function that an output is compared with its targets by."""
    heat = how.temperature

    def divergence(wanted: Any, given: Any) -> Any:
        wanted, given = wanted / heat, given / heat
        ratio = tf.nn.log_softmax(wanted) - tf.nn.log_softmax(given)
        products = tf.nn.softmax(wanted) * ratio
        return heat**2 * tf.reduce_mean(tf.reduce_sum(products, axis=-1))

    def of_logarithms(wanted: Any, given: Any) -> Any:
        wanted, given = (
            tf.math.log(tf.maximum(x, 1e-9)) for x in (wanted, given)
        )
        return divergence(wanted, given)

    if all(map(are_probabilities, targets)):
        return of_logarithms
    return divergence if how.logits else _squares(targets)


def _squares(targets: Sequence[np.ndarray], weight: float = 1.0) -> Any:
    """Returns the mean squared difference, over the variance of targets."""
    every = np.concatenate([target.ravel() for target in targets])
    scale = weight / max(float(np.var(every)), 1e-12)

    def squares(wanted: Any, given: Any) -> Any:
        return scale * tf.reduce_mean(tf.square(wanted - given))

    return squares


def _step(
    model: Any, structure: Any, trained: list[tf.Variable], losses: list[Any]
) -> Any:
    """Returns a function that makes one step of Adam."""
    means = [tf.Variable(tf.zeros_like(v)) for v in trained]
    squares = [tf.Variable(tf.zeros_like(v)) for v in trained]
    # Zeros among other weights are pruned ones; weights that are zero
    # altogether were never trained, or are to be.
    kept = []
    for variable in trained:
        nonzero = host_value(variable) != 0
        sparse = variable.shape.rank > 1 and nonzero.any()
        kept.append(tf.constant(nonzero if sparse else np.ones_like(nonzero)))

    @tf.function(autograph=False, reduce_retracing=True)
    def step(inputs: Any, wanted: Any, rate: Any, turn: Any) -> Any:
        with tf.GradientTape() as tape:
            given = _outputs(model, inputs, structure)
            loss = tf.add_n([f(w, g) for f, w, g in zip(losses, wanted, given)])
        gradients = tape.gradient(loss, trained)
        for variable, mean, square, gradient, alive in zip(
            trained, means, squares, gradients, kept
        ):
            if gradient is None:
                continue
            gradient = tf.convert_to_tensor(gradient)
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * tf.square(gradient))
            root = tf.sqrt(square / (1 - 0.999**turn)) + 1e-8
            move = rate * mean / (1 - 0.9**turn) / root
            variable.assign_sub(tf.where(alive, move, tf.zeros_like(move)))
        return loss

    return step
