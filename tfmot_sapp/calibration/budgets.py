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
"""How many blocks go where: the least error within a budget."""

from collections.abc import Sequence

import numpy as np


def marginal_costs(cost: np.ndarray) -> np.ndarray:
    """Returns what each removal costs, never less than the one before it.

    Removals within a block of columns come in a fixed order; a cheap one
    behind a dear one can't be had without it.

    Args:
        cost: Array (n + 1,): the error when so many are gone.

    Returns:
        Array (n,), rising.

    Example:

    >>> marginal_costs(np.array([0.0, 1.0, 4.0, 5.0]))
    array([1., 3., 3.])
    """
    return np.maximum.accumulate(np.diff(cost))


def cheapest_first(
    costs: Sequence[np.ndarray],
    remove: float,
    sizes: Sequence[np.ndarray] | None = None,
) -> list[int]:
    """Removes what costs least for its size until enough is gone.

    Args:
        costs: For each series of removals, in a fixed order, the error when so
            many are gone, beginning with none.
        remove: How much is to go, in units of `sizes`.
        sizes: What each removal of a series saves: blocks, multiply-adds or
            milliseconds. Defaults to ones.

    Returns:
        How many removals of each series; together they save at least `remove`,
        or all there is. Equal costs are taken from the last series first.

    Example:

    >>> costs = [np.array([0.0, 1.0, 5.0]), np.array([0.0, 2.0, 4.0])]
    >>> cheapest_first(costs, 3)
    [1, 2]
    """
    if sizes is None:
        sizes = [np.ones(len(cost) - 1) for cost in costs]
    price, saving, series = [], [], []
    for index, (cost, size) in enumerate(zip(costs, sizes)):
        worth = np.diff(cost) / np.maximum(size, 1e-300)
        price.append(np.maximum.accumulate(worth) if len(worth) else worth)
        saving.append(size)
        series.append(np.full(len(size), index))
    if not price:
        return []
    prices, savings = np.concatenate(price), np.concatenate(saving)
    owners = np.concatenate(series)
    # Stable within a series, so that its own order is kept.
    order = np.lexsort((-owners, prices))
    gone = np.cumsum(savings[order])
    enough = int(np.searchsorted(gone, remove * (1 - 1e-12)))
    count = 0 if remove <= 0 else min(enough + 1, len(order))
    return [
        int(n) for n in np.bincount(owners[order[:count]], minlength=len(costs))
    ]


def knapsack(
    errors: Sequence[np.ndarray],
    prices: Sequence[np.ndarray],
    budget: float,
    steps: int = 2000,
) -> list[int]:
    """Chooses one option for each layer: the least error within a budget.

    Dynamic programming over a table of prices (ZipLM, arXiv 2302.04089,
    Section 3.2), which serves prices that don't fall evenly with what is
    removed: measured times do not.

    Args:
        errors: For each layer the error of each of its options.
        prices: For each layer the price of each option, in the budget's units.
        budget: What all options together may cost.
        steps: In how many steps the budget is divided. Prices are rounded up
            to them, so that the budget holds.

    Returns:
        The option of each layer, by index.

    Raises:
        ValueError: If the cheapest options are over the budget.

    Example:

    >>> knapsack([np.array([0.0, 1.0]), np.array([0.0, 3.0])],
    ...          [np.array([4.0, 1.0]), np.array([4.0, 1.0])], budget=5.0)
    [1, 0]
    """
    least = sum(float(np.min(price)) for price in prices)
    if not least <= budget:
        raise ValueError(
            "`budget` must be at least the price of the cheapest options, "
            f"{least:.6g}. Received: budget={budget}."
        )
    # What every option of a layer costs at least is set aside, so that only
    # what there is to choose is rounded.
    free = budget - least
    unit = free / steps if free > 0 else 1.0
    best = np.zeros(steps + 1)
    chosen = []
    for error, price in zip(errors, prices):
        more = np.asarray(price, np.float64) - np.min(price)
        units = np.ceil(more / unit - 1e-9).astype(np.int64)
        table = np.full((len(units), steps + 1), np.inf)
        for option, need in enumerate(units):
            if need <= steps:
                table[option, need:] = best[: steps + 1 - need] + error[option]
        chosen.append(np.argmin(table, axis=0))
        best = np.min(table, axis=0)
    options: list[int] = []
    left = steps
    for choice, price in zip(reversed(chosen), reversed(prices)):
        option = int(choice[left])
        options.append(option)
        more = float(price[option]) - float(np.min(price))
        left -= int(np.ceil(more / unit - 1e-9))
    return options[::-1]
