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
"""Real architectures, each in a small form and in its full size."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.private.layers import functional_of


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One model to be tried.

    Attributes:
        name: Its name.
        make: Function from "small" or "full" to a new model.
        integers: The number of values of an integer input, by the input's name;
            2 for any other.
        extents: What an extent that the model leaves open is set to.
        needs: The package that it comes from, if that is an extra.
        ones: Inputs that are all ones, as masks of padding.
    """

    name: str
    make: Callable[[str], Any]
    integers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    extents: int = 8
    needs: str | None = None
    ones: tuple[str, ...] = ("padding_mask",)

    def inputs(self, model: Any, samples: int = 2, seed: int = 0) -> Any:
        """Draws inputs for a model, in the structure that it takes.

        Args:
            model: What `make` returned.
            samples: Number of samples.
            seed: Seed of the values.
        """
        rng = np.random.default_rng(seed)

        def draw(tensor: Any) -> Any:
            shape = (
                tensor.shape[0] or samples,
                *(n or self.extents for n in tensor.shape[1:]),
            )
            name = tensor.name.partition(":")[0]
            dtype = tf.as_dtype(tensor.dtype)
            if dtype == tf.string:
                return tf.constant(rng.choice(["a", "b", "z"], shape))
            if any(name.startswith(one) for one in self.ones):
                return tf.ones(shape, dtype)
            if dtype.is_integer or dtype.is_bool:
                most = self.integers.get(name, 2)
                return tf.cast(rng.integers(0, most, shape), dtype)
            if "token_ids" in name:
                most = self.integers.get(name, 2)
                return tf.constant(rng.integers(0, most, shape), dtype)
            return tf.constant(rng.standard_normal(shape), dtype)

        return tf.nest.map_structure(draw, functional_of(model).input)


def outputs_of(model: Any, inputs: Any) -> list[np.ndarray]:
    """Returns a model's outputs for inference, flat, as float arrays."""
    outputs = tf.nest.flatten(model(inputs, training=False))
    return [np.asarray(value, np.float64) for value in outputs]


def error_between(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Returns the largest error over outputs, each in units of its scale."""
    return max(
        float(np.max(np.abs(e - f), initial=0.0))
        / (float(np.max(np.abs(e), initial=0.0)) + 1e-12)
        for e, f in zip(expected, found)
    )
