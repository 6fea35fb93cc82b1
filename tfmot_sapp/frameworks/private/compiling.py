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
"""What models of both Kerases note when they are compiled, and keep private."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# What a class changes of compiling, training and evaluating by its methods.
_STEPS = (
    "compile",
    "train_step",
    "test_step",
    "compute_loss",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
)


class Compiling(NamedTuple):
    """What a model was compiled with, but for its optimizer.

    Attributes:
        loss: The loss or losses, as they were given.
        loss_weights: Their weights, as they were given.
        metrics: The metrics, as they were given.
        weighted_metrics: Those that take sample weights, as they were given.
        flags: Further arguments of `compile` by name, as they are now.
    """

    loss: Any
    loss_weights: Any
    metrics: Any
    weighted_metrics: Any
    flags: dict[str, Any]


def is_compiled(model: Any) -> bool:
    """Returns whether a model has been compiled."""
    return bool(getattr(model, "compiled", getattr(model, "_is_compiled", 0)))


def compiling_of(model: Any) -> Compiling | None:
    """Returns what a compiled model was compiled with.

    Args:
        model: A compiled model of either Keras.

    Returns:
        Its arguments, or `None` if the model has not noted them.
    """
    noted = getattr(model, "_compile_config", None)
    if noted is None:
        return None
    given = noted.config
    loss = given.get("loss")
    if hasattr(model, "compiled"):
        loss = None if loss is None else model.loss
        flags = {
            "run_eagerly": model.run_eagerly,
            "jit_compile": model.jit_compile,
            "steps_per_execution": model.steps_per_execution,
            # The optimizer has its loss scaled, or was not to have it.
            "auto_scale_loss": False,
        }
    else:
        flags = _flags_of_tf_keras(model)
    return Compiling(
        loss,
        given.get("loss_weights"),
        given.get("metrics"),
        given.get("weighted_metrics"),
        flags,
    )


def _flags_of_tf_keras(model: Any) -> dict[str, Any]:
    steps: Any = 1
    if model._autotune_steps_per_execution:
        steps = "auto"
    elif model._steps_per_execution is not None:
        steps = int(model._steps_per_execution.numpy())
    return {
        # The property tells what comes of it: `None` leaves it to TensorFlow.
        "run_eagerly": model._run_eagerly,
        "jit_compile": model._jit_compile,
        "steps_per_execution": steps,
        "pss_evaluation_shards": model._pss_evaluation_shards,
    }


def own_steps(cls: Any, base: Any) -> set[str]:
    """Returns which methods of compiling and training a class has of its own.

    Args:
        cls: A class of models.
        base: `Model` of its Keras.
    """
    return {
        name
        for name in _STEPS
        if getattr(cls, name, None) is not getattr(base, name, None)
    }


def function_of(metric: Any) -> tuple[Any, dict[str, Any]]:
    """Returns the function that a metric averages, and what it is called with.

    Args:
        metric: A metric that has a function in its config.
    """
    return metric._fn, metric._fn_kwargs


@contextlib.contextmanager
def seen_as_uncompiled(model: Any) -> Iterator[None]:
    """Within it Keras 3 takes a model for one that was never compiled."""
    compiled, model.compiled = model.compiled, False
    try:
        yield
    finally:
        model.compiled = compiled


class NotedWhenTrained:
    """What Keras has noted of compiling a model, told to files in time.

    Args:
        noted: Keras's own note.
        is_trained: Function that tells whether the model has been trained.
    """

    def __init__(self, noted: Any, is_trained: Callable[[], bool]):
        self._noted = noted
        self._is_trained = is_trained

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of `compile`."""
        config: dict[str, Any] = self._noted.config
        return config

    def serialize(self) -> dict[str, Any]:
        """Returns what is written to a file, nothing before training."""
        return self._noted.serialize() if self._is_trained() else {}


def note_when_trained(model: Any, is_trained: Callable[[], bool]) -> None:
    """Keeps what a compiled model is compiled with out of untrained files.

    Args:
        model: A model of either Keras.
        is_trained: Function that tells whether it has been trained.
    """
    noted = getattr(model, "_compile_config", None)
    if noted is not None:
        model._compile_config = NotedWhenTrained(noted, is_trained)
