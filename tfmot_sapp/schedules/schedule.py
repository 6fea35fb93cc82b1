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
"""When masks change, and to which sparsity.

Any object that maps a step to `(should_prune, sparsity)` is a schedule; those
of TF-MOT are used as they are. Sparsity 0 brings every block back (dense
phase), a rising sparsity removes the lowest scores among the blocks still alive
(sparsification phase), and `should_prune = False` leaves the masks alone
(sparse phase).

The project's own schedules are lists of updates (`SteppedSchedule`): each says
at which step the masks change, to which sparsity, and which phase begins or
goes on there.
"""

import abc
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_sparsity, check_steps, check_whole
from tfmot_sapp.base.container_checks import NO_NUMBERS, as_array
from tfmot_sapp.base.settings import Settings
from tfmot_sapp.base.wording import brief, received
from tfmot_sapp.schedules.tfmot_schedules import PruningSchedule
from tfmot_sapp.schedules.updates import (
    DENSE,
    Update,
    Updates,
    one_update,
)

# Tables of more updates than this don't go into a graph.
_LARGEST_TABLE = 1 << 16


class Schedule(Settings, PruningSchedule):
    """Base class of this project's schedules."""

    def _arguments(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""
        return super().get_config()

    def get_config(self) -> dict[str, Any]:
        """Returns TF-MOT's form of a config: class name and arguments."""
        return {
            "class_name": type(self).__name__,
            "config": self._arguments(),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class SteppedSchedule(Schedule):
    """A schedule that is a list of updates.

    Subclasses return it from `_make_updates`. One that is no dataclass returns
    its constructor's arguments from `_arguments`.

    Args:
        target_sparsity: Sparsity after the last update.
        end_step: Number of steps of the whole training.
        begin_step: Step at which the training begins.

    Attributes:
        reset_optimizer: Whether the optimizer forgets its moments whenever
            a new phase begins.
        swaps: Whether some updates exchange blocks.
    """

    target_sparsity: float
    end_step: int
    begin_step: int = 0

    # No annotations, which would make them arguments.
    reset_optimizer = False
    swaps = False

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(
            target_sparsity=check_sparsity(
                self.target_sparsity, "target_sparsity"
            ),
            begin_step=check_steps(self.begin_step, "begin_step"),
            end_step=check_steps(self.end_step, "end_step"),
        )
        if self.end_step <= self.begin_step:
            raise ValueError(
                "`end_step` must be greater than `begin_step`. Received: "
                f"end_step={self.end_step}, begin_step={self.begin_step}."
            )

    @abc.abstractmethod
    def _make_updates(self) -> Sequence[Update]:
        """Returns the updates in the order of their steps, one a step."""

    @functools.cached_property
    def updates(self) -> Updates:
        """All changes of the masks, a sequence in the order of their steps."""
        made = self._make_updates()
        if isinstance(made, Updates):
            return made
        return Updates(map(one_update, _checked(self, made)))

    def last_update(self, step: int) -> Update | None:
        """Returns the update in force at a step, or `None` before the first."""
        count = self.updates.count_upto(check_step(step))
        return self.updates[count - 1] if count else None

    def phase(self, step: int) -> str:
        """Returns "dense", "sparsification" or "sparse".

        Args:
            step: Number of optimizer steps done.
        """
        update = self.last_update(step)
        return DENSE if update is None else update.phase

    def __call__(self, step: Any) -> tuple[Any, Any]:
        """Returns whether the masks change at a step, and to which sparsity.

        Args:
            step: Number of optimizer steps done; a Python integer, or an
                integer tensor of any shape, also inside a graph.

        Returns:
            `(should_prune, sparsity)`: Python values for a Python integer,
            tensors (bool, float32) for a tensor.
        """
        if not tf.is_tensor(step) and not isinstance(step, tf.Variable):
            return self._at(step)
        step = tf.cast(step, tf.int64)
        flat = tf.reshape(step, [-1])
        if len(self.updates) > _LARGEST_TABLE:
            found = tf.numpy_function(
                self._at_each, [flat], (tf.bool, tf.float32)
            )
        else:
            found = self._looked_up(flat)
        shape = tf.shape(step)
        return tf.reshape(found[0], shape), tf.reshape(found[1], shape)

    def _at(self, step: int) -> tuple[bool, float]:
        update = self.last_update(step)
        if update is None:
            return False, 0.0
        return update.step == step, update.sparsity

    def _at_each(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answers = [self._at(int(step)) for step in steps]
        should_prune, sparsity = zip(*answers) if answers else ((), ())
        return np.array(should_prune, bool), np.array(sparsity, np.float32)

    def _looked_up(self, flat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        table = list(self.updates)
        steps = tf.constant([-1, *(one.step for one in table)], tf.int64)
        sparsities = tf.constant(
            [0.0, *(one.sparsity for one in table)], tf.float32
        )
        index = tf.searchsorted(steps, flat, side="right") - 1
        should_prune = (tf.gather(steps, index) == flat) & (index > 0)
        return should_prune, tf.gather(sparsities, index)

    def plot(self, path: str | None = None) -> Any:
        """Draws sparsity over steps, the phases shaded.

        Args:
            path: File to write, its format taken from the ending. `None`
                writes nothing.

        Returns:
            The `matplotlib.figure.Figure`.
        """
        from tfmot_sapp.schedules.plot_schedule import plot_schedule

        return plot_schedule(self, path)


def check_step(step: Any) -> int:
    """Returns a number of optimizer steps as an int.

    Args:
        step: A whole number, or a variable or tensor of one. Before the first
            step it is -1.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is less than -1.
    """
    value = step.numpy() if hasattr(step, "numpy") else step
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return check_steps(value, "step", least=-1)


def _checked(schedule: Any, updates: Sequence[Update]) -> list[Update]:
    last = -1
    for update in updates:
        step = check_whole(update.step, "step")
        if step <= last:
            raise ValueError(
                f"`{type(schedule).__qualname__}._make_updates` must return "
                "updates in the order of their steps, one a step. "
                f"Received: step {step} behind step {last}."
            )
        check_sparsity(update.sparsity, "sparsity")
        last = step
    return list(updates)


def target_sparsity(schedule: Any) -> float | None:
    """Returns the sparsity that a schedule ends at, or `None` if it won't say.

    Args:
        schedule: A schedule with an attribute `target_sparsity` or, as TF-MOT's
            `PolynomialDecay` has it, `final_sparsity`.
    """
    for name in ("target_sparsity", "final_sparsity"):
        value = getattr(schedule, name, None)
        if value is not None:
            return float(value)
    return None


def end_step(schedule: Any) -> int | None:
    """Returns the last step at which a schedule acts, or `None` for no end."""
    value = getattr(schedule, "end_step", None)
    return None if value is None or value < 0 else int(value)


def check_schedule(schedule: Any) -> Any:
    """Returns the schedule if it follows the protocol.

    Raises:
        TypeError: If it does not answer a step with `(should_prune, sparsity)`.
        ValueError: If the sparsity is none.
    """
    problem = None
    if isinstance(schedule, type) or not callable(schedule):
        problem = "It is not callable with a step."
    else:
        try:
            answer_at(schedule, 0)
        except (TypeError, ValueError) as error:
            problem = f"Calling it with step 0 gave: {brief(error)}"
    if problem:
        raise TypeError(
            "`pruning_schedule` must be a schedule: an object that maps a step "
            "to (should_prune, sparsity), such as "
            "`tfmot_sapp.SequentialAttentionSchedule(0.9, end_step=1000)` or "
            "one of TF-MOT's. "
            f"{received('pruning_schedule', schedule)} {problem}"
        )
    return schedule


def answer_at(schedule: Any, step: int) -> tuple[bool, float]:
    """Returns what a schedule of any kind answers to a step.

    Raises:
        TypeError: If it does not answer with `(should_prune, sparsity)`.
        ValueError: If the sparsity is outside [0, 1).
    """
    answer = schedule(step)
    try:
        should_prune, sparsity = map(as_array, answer)
    except (TypeError, ValueError):
        should_prune = sparsity = as_array(None)
    is_flag = should_prune.ndim == 0 and should_prune.dtype.kind in "biu"
    if not is_flag or sparsity.ndim or sparsity.dtype.kind in NO_NUMBERS:
        raise TypeError(
            f"`pruning_schedule` must answer step {step} with (should_prune, "
            f"sparsity), a flag and a number. {received('answer', answer)}"
        )
    # float32 holds 0.9 as 0.8999999762.
    return bool(should_prune), check_answer(schedule, step, float(sparsity))


def check_answer(schedule: Any, step: int, sparsity: float) -> float:
    """Returns a schedule's sparsity, rounded to what float32 tells apart."""
    if not 0.0 <= sparsity < 1.0:
        raise ValueError(
            "`pruning_schedule` must answer with a sparsity in [0, 1). "
            f"Received: {sparsity} at step {step} from {brief(repr(schedule))}."
        )
    return round(sparsity, 7)
