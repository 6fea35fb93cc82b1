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
import bisect
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.registry import Registered
from tfmot_sapp.schedules.tfmot_schedules import PruningSchedule

DENSE, SPARSIFICATION, SPARSE = "dense", "sparsification", "sparse"


class Update(NamedTuple):
    """One change of the masks.

    Attributes:
        step: Number of optimizer steps done when the masks change.
        sparsity: Fraction of the blocks removed from then on, in [0, 1).
        phase: "dense", "sparsification" or "sparse".
        swap: Fraction of the kept blocks to exchange for dropped ones instead,
            the sparsity being in force already.
    """

    step: int
    sparsity: float
    phase: str
    swap: float = 0.0


class SteppedSchedule(Registered, PruningSchedule):
    """A schedule that is a list of updates.

    Subclasses return the list from `_make_updates` and their constructor's
    arguments from `_arguments`.

    Attributes:
        target_sparsity: Sparsity after the last update.
        reset_optimizer: Whether the optimizer forgets its moments whenever
            a new phase begins.
        swaps: Whether some updates exchange blocks.
    """

    reset_optimizer: bool = False
    swaps: bool = False

    def __init__(
        self, target_sparsity: float, end_step: int, begin_step: int = 0
    ):
        self.target_sparsity = validate_sparsity(
            target_sparsity, "target_sparsity"
        )
        self.begin_step = validate_step(begin_step, "begin_step")
        self.end_step = validate_step(end_step, "end_step")
        if self.end_step <= self.begin_step:
            raise ValueError(
                "`end_step` must be greater than `begin_step`. Received: "
                f"end_step={end_step}, begin_step={begin_step}."
            )

    @abc.abstractmethod
    def _make_updates(self) -> Sequence[Update]:
        """Returns the updates in the order of their steps, one a step."""

    @abc.abstractmethod
    def _arguments(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""

    @functools.cached_property
    def updates(self) -> tuple[Update, ...]:
        """All changes of the masks, in the order of their steps."""
        return tuple(self._make_updates())

    @functools.cached_property
    def _steps(self) -> list[int]:
        return [update.step for update in self.updates]

    def last_update(self, step: int) -> Update | None:
        """Returns the update in force at a step, or `None` before the first."""
        index = bisect.bisect_right(self._steps, step) - 1
        return self.updates[index] if index >= 0 else None

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
            update = self.last_update(int(step))
            if update is None:
                return False, 0.0
            return update.step == int(step), update.sparsity
        step = tf.cast(step, tf.int64)
        steps = tf.constant([-1, *self._steps], tf.int64)
        sparsities = tf.constant(
            [0.0, *(update.sparsity for update in self.updates)], tf.float32
        )
        flat = tf.reshape(step, [-1])
        index = tf.searchsorted(steps, flat, side="right") - 1
        should_prune = (tf.gather(steps, index) == flat) & (index > 0)
        shape = tf.shape(step)
        return (
            tf.reshape(should_prune, shape),
            tf.reshape(tf.gather(sparsities, index), shape),
        )

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

    def get_config(self) -> dict[str, Any]:
        """Returns TF-MOT's form of a config: class name and arguments."""
        return {
            "class_name": type(self).__name__,
            "config": self._arguments(),
        }


def updates_between(schedule: Any, after: int, upto: int) -> list[Update]:
    """Returns a schedule's updates in the steps `after < step <= upto`.

    Args:
        schedule: A schedule of any kind.
        after: Step already dealt with; -1 for none.
        upto: Last step to ask for.

    Returns:
        List of `Update`, in order.
    """
    if upto <= after:
        return []
    if isinstance(schedule, SteppedSchedule):
        low = bisect.bisect_right(schedule._steps, after)
        high = bisect.bisect_right(schedule._steps, upto)
        return list(schedule.updates[low:high])
    target = target_sparsity(schedule)
    found = []
    for step in range(after + 1, upto + 1):
        should_prune, sparsity = _ask(schedule, step)
        if should_prune:
            phase = DENSE if sparsity == 0 else SPARSIFICATION
            if target is not None and sparsity >= target:
                phase = SPARSE
            found.append(Update(step, sparsity, phase))
    return found


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


_CHUNK = 1024


@functools.lru_cache(maxsize=64)
def _answers(schedule: Any, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    # A call of TF-MOT's schedules costs a millisecond, a good part of a small
    # model's step, so they are asked for many steps at once.
    steps = tf.range(chunk * _CHUNK, (chunk + 1) * _CHUNK, dtype=tf.int32)
    should_prune, sparsity = schedule(steps)
    shape = (_CHUNK,)
    return (
        np.broadcast_to(np.asarray(should_prune), shape),
        np.broadcast_to(np.asarray(sparsity, np.float64), shape),
    )


def _ask(schedule: Any, step: int) -> tuple[bool, float]:
    # Only TF-MOT's own classes are known to take many steps in one tensor.
    if type(schedule).__module__ == PruningSchedule.__module__:
        should_prune, sparsity = _answers(schedule, step // _CHUNK)
        index = step % _CHUNK
        # float32 holds 0.9 as 0.8999999762.
        return bool(should_prune[index]), round(float(sparsity[index]), 7)
    should_prune, sparsity = schedule(step)
    return bool(should_prune), round(float(sparsity), 7)


def validate_schedule(schedule: Any) -> Any:
    """Returns the schedule if it follows the protocol.

    Raises:
        TypeError: If it does not answer a step with `(should_prune, sparsity)`.
    """
    problem = None
    if isinstance(schedule, type) or not callable(schedule):
        problem = "it is not callable with a step"
    else:
        try:
            should_prune, sparsity = schedule(0)
            bool(should_prune), float(sparsity)
        except (TypeError, ValueError) as error:
            problem = f"calling it with step 0 gave: {error}"
    if problem:
        raise TypeError(
            "`pruning_schedule` must be a schedule: an object that maps a step "
            "to (should_prune, sparsity), such as "
            "`tfmot_sapp.SequentialAttentionSchedule(0.9, end_step=1000)` or "
            "one of TF-MOT's. "
            f"Received: {schedule!r} ({problem})."
        )
    return schedule


def validate_sparsity(sparsity: Any, name: str) -> float:
    """Returns a sparsity as a float after checking that it is in [0, 1).

    Args:
        sparsity: The value to check.
        name: Name of the argument, for the error.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is outside [0, 1) or NaN.
    """
    if isinstance(sparsity, (bool, str)) or not np.isscalar(sparsity):
        raise TypeError(
            f"`{name}` must be a number in [0, 1). "
            f"Received: {name}={sparsity!r} of type {type(sparsity).__name__}."
        )
    if not 0.0 <= float(sparsity) < 1.0:
        raise ValueError(
            f"`{name}` must be in [0, 1): the fraction of blocks to remove. "
            f"Received: {name}={sparsity}."
        )
    return float(sparsity)


def validate_fraction(value: Any, name: str) -> float:
    """Returns a fraction as a float after checking that it is in [0, 1]."""
    if isinstance(value, (bool, str)) or not np.isscalar(value):
        raise TypeError(
            f"`{name}` must be a number in [0, 1]. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(
            f"`{name}` must be in [0, 1]. Received: {name}={value}."
        )
    return float(value)


def validate_step(step: Any, name: str, least: int = 0) -> int:
    """Returns a step count as an int after checking that it is large enough.

    Args:
        step: The value to check.
        name: Name of the argument, for the error.
        least: Smallest value allowed.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is less than `least`.
    """
    whole = isinstance(step, (int, np.integer)) and not isinstance(step, bool)
    if not whole and not (isinstance(step, float) and step.is_integer()):
        raise TypeError(
            f"`{name}` must be a whole number of steps. "
            f"Received: {name}={step!r} of type {type(step).__name__}."
        )
    if step < least:
        raise ValueError(
            f"`{name}` must be at least {least}. Received: {name}={step}."
        )
    return int(step)
