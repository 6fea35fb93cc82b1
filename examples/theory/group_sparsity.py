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
"""What theory says of differentiable pruning, checked on least squares.

    python -m examples.theory.group_sparsity

Group LASSO with one group, group orthogonal matching pursuit (OMP) and the same
with replacement (OMPR) on random problems with a planted support (arXiv
2402.17902, Sections 1 and 2). Prints how often each finds the support, and
writes a picture.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
from absl import app, flags

from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
flags.DEFINE_integer("trials", 40, "Random problems for each point.")
flags.DEFINE_string("output_dir", "output", "Where the picture goes.")


def gradient_norms(
    a: np.ndarray, b: np.ndarray, x: np.ndarray, size: int
) -> np.ndarray:
    """Returns the norm of the gradient of `0.5 ||A x - b||^2` by group.

    Args:
        a: Array (rows, groups * size).
        b: Array (rows,).
        x: Array (groups * size,).
        size: Variables in a group.
    """
    gradient = a.T @ (a @ x - b)
    return np.linalg.norm(gradient.reshape(-1, size), axis=1)


def least_squares(
    a: np.ndarray, b: np.ndarray, support: Sequence[int], size: int
) -> np.ndarray:
    """Returns the best `x` that is zero outside of some groups."""
    x = np.zeros(a.shape[1])
    columns = _columns(support, size)
    if len(columns):
        x[columns] = np.linalg.lstsq(a[:, columns], b, rcond=None)[0]
    return x


def _columns(support: Sequence[int], size: int) -> np.ndarray:
    groups = np.asarray(sorted(support), int)[:, None]
    return (groups * size + np.arange(size)).ravel()


def group_lasso(
    a: np.ndarray,
    b: np.ndarray,
    size: int,
    strength: float,
    steps: int = 4000,
) -> np.ndarray:
    """Minimises `0.5 ||A x - b||^2 + strength sum ||x_i||` by FISTA."""
    slope = 1 / np.linalg.norm(a, 2) ** 2
    x = y = np.zeros(a.shape[1])
    momentum = 1.0
    for _ in range(steps):
        z = (y - slope * a.T @ (a @ y - b)).reshape(-1, size)
        norms = np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)
        shrunk = (z * np.maximum(1 - slope * strength / norms, 0)).ravel()
        after = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        y = shrunk + (momentum - 1) / after * (shrunk - x)
        x, momentum = shrunk, after
    return x


def omp(a: np.ndarray, b: np.ndarray, size: int, count: int) -> list[int]:
    """Group OMP: take the group of largest gradient, solve, repeat."""
    support: list[int] = []
    for _ in range(count):
        x = least_squares(a, b, support, size)
        norms = gradient_norms(a, b, x, size)
        norms[support] = -1
        support.append(int(np.argmax(norms)))
    return sorted(support)


def ompr(
    a: np.ndarray, b: np.ndarray, size: int, count: int, swaps: int = 20
) -> list[int]:
    """Group OMP with replacement: swap the weakest group while that helps."""

    def loss(support: Sequence[int]) -> float:
        x = least_squares(a, b, support, size)
        return float(np.sum((a @ x - b) ** 2))

    support = omp(a, b, size, count)
    lowest = loss(support)
    for _ in range(swaps):
        x = least_squares(a, b, support, size)
        norms = gradient_norms(a, b, x, size)
        norms[support] = -1
        enter = int(np.argmax(norms))
        strength = np.linalg.norm(x.reshape(-1, size), axis=1)
        leave = min(support, key=lambda group: strength[group])
        trial = sorted({*support, enter} - {leave})
        value = loss(trial)
        if value >= lowest - 1e-12:
            break
        support, lowest = trial, value
    return support


def planted(
    rng: np.random.Generator,
    rows: int,
    groups: int,
    size: int,
    count: int,
    noise: float = 0.01,
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Returns a problem whose solution lives on a few groups."""
    a = rng.normal(size=(rows, groups * size)) / np.sqrt(rows)
    support = sorted(rng.permutation(groups)[:count].tolist())
    x = np.zeros(groups * size)
    columns = _columns(support, size)
    x[columns] = rng.normal(size=len(columns))
    return a, a @ x + noise * rng.normal(size=rows), support


def by_gradient(
    a: np.ndarray, b: np.ndarray, size: int, count: int
) -> list[int]:
    """Takes the groups of largest gradient at zero, all at once."""
    norms = gradient_norms(a, b, np.zeros(a.shape[1]), size)
    return sorted(np.argsort(-norms)[:count].tolist())


METHODS: dict[str, Callable[..., list[int]]] = {
    "one shot": by_gradient,
    "group OMP": omp,
    "group OMPR": ompr,
}


def main(_: list[str]) -> None:
    """Prints how often the support is found, and draws it."""
    from matplotlib.figure import Figure

    groups, size, count = 24, 4, 5
    all_rows = (16, 20, 24, 28, 32, 40, 48, 64)
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for rows in all_rows:
        rng = np.random.default_rng(rows)
        problems = [
            planted(rng, rows, groups, size, count) for _ in range(FLAGS.trials)
        ]
        for name, method in METHODS.items():
            hits = [
                method(a, b, size, count) == support
                for a, b, support in problems
            ]
            found[name].append(100 * float(np.mean(hits)))
    table = [
        [name, *(f"{value:.0f}" for value in values)]
        for name, values in found.items()
    ]
    head = ["% of supports found, rows =", *map(str, all_rows)]
    print(render(head, table, numeric=tuple(range(1, len(head)))))
    figure = Figure((6, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, values in found.items():
        axis.plot(all_rows, values, marker="o", label=name)
    axis.set(
        xlabel=f"rows, for {count} of {groups} groups of {size} variables",
        ylabel="supports found, %",
        ylim=(-3, 103),
    )
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    path = os.path.join(FLAGS.output_dir, "theory.png")
    figure.savefig(path, dpi=150)
    print(f"The picture is {path}")


if __name__ == "__main__":
    app.run(main)
