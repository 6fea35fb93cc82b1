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
"""What criteria know of a group: sums over calibration data.

For each consumer the hidden units are laid out as features: a Dense layer's
inputs, or a convolution's patches, tap by tap. The consumer is then one matrix
`W` with a row per feature, whatever its kind, and a unit is a set of rows. All
that is kept of the data are sums over samples, so memory does not grow with it.
"""

import dataclasses
import functools
from typing import Any, cast

import numpy as np

from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.units.members import Group


@dataclasses.dataclass(frozen=True)
class Part:
    """One consumer of a group.

    Attributes:
        weights: Array (features, outputs): the consumer's kernel, each output
            times the slope of the batch norm behind it.
        unit_of: Integer array (features,): the unit that a feature belongs to.
        summed: Array (places, features): features summed over the samples, one
            row for each place of a convolution's output.
        valid: Boolean array like `summed`: features that are units, not the
            padding.
        gram: Array (features, features): sum over samples and places of the
            features' products; `None` if no criterion wants it.
    """

    weights: np.ndarray
    unit_of: np.ndarray
    summed: np.ndarray
    valid: np.ndarray
    gram: np.ndarray | None

    @property
    def known_gram(self) -> np.ndarray:
        """`gram`, which is there for every criterion that needs it."""
        return cast(np.ndarray, self.gram)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What is known of a group.

    Attributes:
        units: Number of units.
        activation: Array (units,): each unit summed over samples and places.
        producer_norm: Array (units,): norm of the weights that make each unit.
        parts: The consumers.
    """

    units: int
    activation: np.ndarray
    producer_norm: np.ndarray
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Checks that there is something to compare."""
        arrays = [self.activation, self.producer_norm]
        for part in self.parts:
            arrays += [part.weights, part.summed]
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(
                "`model` must give finite values for `data`. Received: NaN or "
                f"infinity in a group of {self.units} units; look for it in "
                "the model's weights."
            )

    @functools.cached_property
    def unit_gram(self) -> np.ndarray:
        """Array (units, units): products of what units add to the output.

        `K_ij` is the sum over samples, places and outputs of unit `i`'s share
        of the output times unit `j`'s.
        """
        total = np.zeros((self.units, self.units))
        for part in self.parts:
            products = part.gram * (part.weights @ part.weights.T)
            rows = np.zeros((self.units, len(part.unit_of)))
            np.add.at(rows, part.unit_of, products)
            sums = np.zeros((self.units, self.units))
            np.add.at(sums.T, part.unit_of, rows.T)
            total += sums
        return total

    def residual(self, kept: np.ndarray) -> float:
        """Returns how much of the output is lost if only some units stay.

        Args:
            kept: Indices of units.

        Returns:
            Norm of the lost output over that of the whole, over all samples.
        """
        gone = np.ones(self.units, bool)
        gone[kept] = False
        whole = self.unit_gram.sum()
        lost = self.unit_gram[np.ix_(gone, gone)].sum()
        return float(np.sqrt(max(lost, 0.0) / max(whole, 1e-300)))


def producer_norm(group: Group) -> np.ndarray:
    """Returns the norm of the weights that make each unit of a group."""
    if group.has_heads:
        kernel = host_value(projections_of(group.producer).value.kernel)
        return np.sqrt(np.sum(np.square(kernel), axis=(0, 2)))
    maker = group.makers[0]
    kernel = host_value(kernel_of(maker.layer))
    norms = np.sqrt(
        np.sum(np.square(kernel), axis=tuple(range(kernel.ndim - 1)))
    )
    # Other channels come first.
    return norms[np.argsort(maker.unit_of, kind="stable")[-group.units :]]


def kernel_of(layer: Any) -> Any:
    """Returns the kernel of a layer that sums over all channels."""
    pointwise = getattr(layer, "pointwise_kernel", None)
    return layer.kernel if pointwise is None else pointwise
