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
"""Outgoing weights solved again for the units that are kept.

`solve` is the least squares that the criteria of `gram_criteria.py` rest on.
`solve_target` is what a refit uses: the least squares, with a bias, for what a
layer is wanted to give, which need not be what it gave.
"""

import dataclasses
from typing import Any, cast

import numpy as np

from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.statistics import Part, Statistics, Target
from tfmot_sapp.units.groups import Group, slope_of

# Share of the mean square that is added to every feature's own.
EPSILON = 1e-2
# A refit has far more places than features and needs less to be stable.
REFIT_EPSILON = 1e-4


def stabilised(gram: np.ndarray) -> np.ndarray:
    """Returns `G + eps I`, eps being a share of G's mean diagonal."""
    mean = float(np.mean(np.diag(gram)))
    return gram + (EPSILON * mean or 1.0) * np.eye(len(gram))


def solve(
    gram: np.ndarray, weights: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Solves for weights of some features that give the output of all.

    That is `W' = (G_SS + eps I)^-1 G_S W`, the least squares of the output
    over the data.

    Args:
        gram: Array (features, features): products of features over the data.
        weights: Array (features, outputs).
        inside: Boolean array (features,): the features to use.

    Returns:
        Array like `weights`, zero outside.
    """
    solved = np.zeros_like(weights)
    if np.any(inside):
        solved[inside] = np.linalg.solve(
            stabilised(gram)[np.ix_(inside, inside)], gram[inside] @ weights
        )
    return solved


def solve_target(
    gram: np.ndarray,
    target: Target,
    weights: np.ndarray,
    inside: np.ndarray,
    has_bias: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Solves for weights of some features, and a bias, that hit a target.

    Minimises `|X_S W' + b - Y|^2 + eps |W' - W_S|^2` over the data: what the
    data says nothing about stays as it was.

    Args:
        gram: Array (features, features): `X^T X`, products of features.
        target: The sums over the data with the target `Y`.
        weights: Array (features, outputs): `W`.
        inside: Boolean array (features,): the features `S` to use.
        has_bias: Whether there is a `b`, or zero in its place.

    Returns:
        The weights, an array like `weights`, zero outside; and the bias, an
        array (outputs,).
    """
    products, squares = target.products[inside], gram[np.ix_(inside, inside)]
    solved, bias = np.zeros_like(weights), np.zeros(weights.shape[1])
    if has_bias:
        # The best bias makes the means agree; the rest is about deviations.
        mean = target.features[inside] / target.count
        products = products - np.outer(mean, target.wanted)
        squares = squares - target.count * np.outer(mean, mean)
    if np.any(inside):
        ridge = REFIT_EPSILON * float(np.mean(np.diag(squares))) or 1.0
        solved[inside] = np.linalg.solve(
            squares + ridge * np.eye(len(squares)),
            products + ridge * weights[inside],
        )
    if has_bias:
        bias = (target.wanted - target.features @ solved) / target.count
    return solved, bias


def aimed(group: Group, statistics: Statistics) -> Statistics:
    """Returns statistics in which the weights are the best for the targets.

    What units are chosen by is then what they add to what is wanted: the least
    squares of some units differ from the targets by a constant and from these
    weights' outputs by the rest.

    Args:
        group: The group.
        statistics: Its statistics, with products and targets.
    """
    parts = []
    for part, (_, inner, norm) in zip(statistics.parts, _readers(group)):
        everything = np.ones(len(part.unit_of), bool)
        solved, _ = _solved(part, inner, norm, everything)
        parts.append(dataclasses.replace(part, weights=solved * slope_of(norm)))
    return dataclasses.replace(statistics, parts=tuple(parts))


def refitted(
    group: Group, statistics: Statistics, kept: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Returns new weights of what reads a group, solved for the kept units.

    What is wanted is in the statistics' targets. The bias that comes with the
    solution goes into the layer's own, or into the mean of the batch norm
    behind it.

    Args:
        group: The group.
        statistics: Its statistics, with products and targets.
        kept: The units to keep.

    Returns:
        Weights of whole size by layer name.
    """
    found = {}
    for part, (layer, inner, norm) in zip(statistics.parts, _readers(group)):
        inside = np.isin(part.unit_of, kept)
        solved, more = _solved(part, inner, norm, inside)
        bias = getattr(inner, "bias", None)
        new = {id(inner.kernel): solved.reshape(inner.kernel.shape)}
        if bias is not None:
            # The target is without the bias, which is the same as before.
            value = host_value(bias)
            new[id(bias)] = value + more.reshape(value.shape)
        elif norm is not None:
            mean = norm.moving_mean
            found[norm.name] = _with(norm, {id(mean): host_value(mean) - more})
        found[layer.name] = _with(layer, new)
    return found


def _readers(group: Group) -> list[tuple[Any, Any, Any]]:
    """Returns each consumer, the layer with its kernel, the norm behind it."""
    if group.has_heads:
        return [(group.producer, projections_of(group.producer).output, None)]
    return [(c.layer, c.layer, c.scaled_by) for c in group.consumers]


def _solved(
    part: Part, inner: Any, norm: Any, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    kernel = host_value(inner.kernel).reshape(len(part.unit_of), -1)
    return solve_target(
        part.known_gram,
        cast(Target, part.target),
        kernel.astype(np.float64),
        inside,
        getattr(inner, "bias", None) is not None or norm is not None,
    )


def _with(layer: Any, new: dict[int, np.ndarray]) -> list[np.ndarray]:
    """Returns a layer's weights, some of them replaced."""
    values = [(id(w), host_value(w)) for w in layer.weights]
    return [new.get(key, old).astype(old.dtype) for key, old in values]
