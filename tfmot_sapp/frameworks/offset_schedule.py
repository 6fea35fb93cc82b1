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
"""The part of `OffsetSchedule` that both Keras have in common."""

from collections.abc import Callable
from typing import Any, ClassVar

import tensorflow as tf

from tfmot_sapp.frameworks.which_keras import host_value


class OffsetMixin:
    """A learning-rate schedule that adds an offset to the step."""

    _keras: ClassVar[Any]
    _make_offset: Callable[[int], Any]

    def __init__(self, schedule: Any, offset: int = 0):
        super().__init__()
        self.schedule = schedule
        # A variable, since a traced training function would capture a number.
        self.offset = self._make_offset(offset)

    def add_offset(self, steps: int) -> None:
        """Counts steps that the optimizer is about to forget."""
        self.offset.assign(int(host_value(self.offset)) + steps)

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate at a step of the optimizer."""
        step = tf.cast(tf.convert_to_tensor(step), tf.int32)
        return self.schedule(step + tf.convert_to_tensor(self.offset))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""
        schedules = self._keras.optimizers.schedules
        return {
            "schedule": schedules.serialize(self.schedule),
            "offset": int(host_value(self.offset)),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OffsetMixin":
        """Makes a schedule from what `get_config` returned."""
        schedules = cls._keras.optimizers.schedules
        schedule = schedules.deserialize(config["schedule"])
        return cls(schedule, config["offset"])
