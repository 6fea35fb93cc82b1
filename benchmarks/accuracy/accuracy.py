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
"""Methods compared, each at its own best learning rate and rate's shape.

    python -m benchmarks.accuracy.accuracy --data_dir=...
    python -m benchmarks.accuracy.accuracy --dataset=digits --epochs=60

Each method gets the same choice of learning rates and shapes. The choice is
made on a validation split with the search seeds. The test figures come from
seeds that no choice has seen, trained on the validation split too, since
nothing is left to choose. Every run is a row of a CSV file, and runs that are
there already are not repeated, so a comparison can be stopped, continued and
widened.
"""

import concurrent.futures
import csv
import itertools
import multiprocessing
import os
import time
from typing import Any, NamedTuple

from absl import app, flags
from rich.progress import Progress, TaskID

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "dataset", "fashion_mnist", "TFDS image set, digits, criteo."
)
flags.DEFINE_string("data_dir", "", "Where the data is.")
flags.DEFINE_enum("model", "mlp", ["mlp", "cnn"], "Network for images.")
flags.DEFINE_multi_integer("block", [20, 40], "Block sizes.")
flags.DEFINE_multi_float("sparsity", [0.95, 0.98], "Sparsities.")
flags.DEFINE_multi_string("method", None, "Methods; all by default.")
flags.DEFINE_multi_float("rate", [1e-3, 2e-3, 4e-3], "Learning rates.")
flags.DEFINE_multi_enum(
    "shape",
    ["cosine", "late"],
    ["cosine", "late", "raised"],
    "Shapes of the rate.",
)
flags.DEFINE_enum("optimizer", "adam", ["adam", "sgd"], "Optimizer.")
flags.DEFINE_integer("epochs", 8, "Epochs.")
flags.DEFINE_integer("batch_size", 128, "Rows a step.")
flags.DEFINE_integer("search_seeds", 1, "Seeds to choose by.")
flags.DEFINE_integer("seeds", 3, "Fresh seeds to report.")
flags.DEFINE_integer("first_seed", 1, "The first of them.", 1, 999)
flags.DEFINE_bool("retrain", False, "Also train each final mask again.")
flags.DEFINE_bool("train", True, "Make missing runs, or report what is there.")
flags.DEFINE_integer("jobs", os.cpu_count(), "Runs at a time.")
flags.DEFINE_string(
    "output",
    "benchmarks/accuracy/results/accuracy",
    "CSV and PNG, without ending.",
)

# Search seeds start here, above all test seeds.
_SEARCH = 1000

FIELDS = (
    "stage",
    "dataset",
    "model",
    "optimizer",
    "epochs",
    "block",
    "sparsity",
    "method",
    "rate",
    "shape",
    "seed",
    "validation",
    "test",
    "kept",
    "seconds",
)


class Run(NamedTuple):
    """One training: what `FIELDS` begins with."""

    stage: str
    dataset: str
    model: str
    optimizer: str
    epochs: int
    block: int
    sparsity: float
    method: str
    rate: float
    shape: str
    seed: int


class Rows:
    """The CSV file of results.

    Args:
        path: The file. It is made if it isn't there.
    """

    def __init__(self, path: str):
        self.path = path
        self.rows: dict[Run, dict[str, Any]] = {}
        if os.path.exists(path):
            with open(path, newline="") as file:
                for row in csv.DictReader(file):
                    self.rows[_run_of(row)] = row
        else:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "w", newline="") as file:
                csv.writer(file).writerow(FIELDS)

    def add(self, run: Run, figures: dict[str, Any]) -> None:
        """Appends a row."""
        row = {**run._asdict(), **figures}
        self.rows[run] = row
        with open(self.path, "a", newline="") as file:
            csv.DictWriter(file, FIELDS).writerow(row)


def _run_of(row: dict[str, str]) -> Run:
    kinds = Run.__annotations__
    return Run(**{name: kinds[name](row[name]) for name in Run._fields})


def start_worker() -> None:
    """Gives a process one thread, since processes take the cores."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def train(run: Run, data_dir: str, batch_size: int) -> dict[str, Any]:
    """Makes one run.

    Args:
        run: What to train.
        data_dir: Where the data is.
        batch_size: Rows a step.

    Returns:
        The fields of its row that are measured.
    """
    from benchmarks.accuracy import tasks

    start = time.perf_counter()
    task = tasks.load(run.dataset, run.model, data_dir)
    searching = run.stage == "search"
    if not searching:
        task = task.with_validation()
    if run.stage == "retrain":
        masks: dict[tuple[int, ...], Any] = {}
        _fit(run, task, batch_size, masks)
        stripped, kept = _fit(run, task, batch_size, None, masks)
    else:
        stripped, kept = _fit(run, task, batch_size)
    figure = task.evaluate(
        stripped, task.validation if searching else task.test
    )
    return {
        "validation": f"{figure:.5f}" if searching else "",
        "test": "" if searching else f"{figure:.5f}",
        "kept": kept,
        "seconds": f"{time.perf_counter() - start:.1f}",
    }


def _fit(
    run: Run,
    task: Any,
    batch_size: int,
    found: dict[tuple[int, ...], Any] | None = None,
    masks: dict[tuple[int, ...], Any] | None = None,
) -> tuple[Any, str]:
    """Trains a network; notes its masks in `found` or starts from `masks`."""
    import keras

    import tfmot_sapp as sapp
    from benchmarks.accuracy import methods

    keras.utils.set_random_seed(run.seed)
    model = task.make()
    steps = run.epochs * -(-len(task.training[0]) // batch_size)
    rate = methods.learning_rate(run.shape, run.rate, steps)
    optimizers = {
        "adam": lambda: keras.optimizers.Adam(rate),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    }
    callbacks = []
    pruned = run.method != "dense"
    if pruned:
        method = methods.METHODS[run.method]
        scorer, schedule = method.scorer, method.schedule(run.sparsity, steps)
        allocation = method.allocation
        if masks is not None:
            scorer = methods.FixedMask(masks)
            schedule = sapp.ConstantSparsity(run.sparsity, 0)
            allocation = None
        model = sapp.prune_blocks(
            model,
            schedule,
            {task.prunable: (run.block, run.block)},
            scorer,
            allocation,
            pruning_policy=sapp.MinimumBlocks(1),
        )
        callbacks = [sapp.UpdatePruningStep()]
    loss = getattr(keras.losses, task.loss)(from_logits=True)
    model.compile(
        optimizers[run.optimizer](),
        loss,
        # Masks change every 20 steps or less often.
        steps_per_execution=20,
        # A third less time for convolutions, none for the rest.
        jit_compile=run.model == "cnn",
    )
    model.fit(
        *task.training,
        batch_size=batch_size,
        epochs=run.epochs,
        verbose=0,
        callbacks=callbacks,
    )
    if not pruned:
        return model, ""
    rows = sapp.report(model).pruned
    if found is not None:
        for layer in model.layers:
            for kernel in getattr(layer, "pruned_kernels", ()):
                found[kernel.grid.shape] = kernel.mask_array()
    kept = " ".join(f"{row.kept}/{row.blocks}" for row in rows)
    return sapp.strip_pruning(model), kept


def run_all(runs: list[Run], rows: Rows, label: str) -> None:
    """Makes the runs that have no row yet, several at a time."""
    todo = [run for run in runs if run not in rows.rows]
    if not todo or not FLAGS.train:
        return
    with (
        concurrent.futures.ProcessPoolExecutor(
            FLAGS.jobs,
            multiprocessing.get_context("spawn"),
            initializer=start_worker,
        ) as pool,
        Progress() as progress,
    ):
        bar: TaskID = progress.add_task(label, total=len(todo))
        futures = {
            pool.submit(train, run, FLAGS.data_dir, FLAGS.batch_size): run
            for run in todo
        }
        for future in concurrent.futures.as_completed(futures):
            rows.add(futures[future], future.result())
            progress.advance(bar)


def best(rows: Rows, like: Run, higher_is_better: bool) -> Run | None:
    """Returns the run of a cell with the rate and shape that validate best.

    Args:
        rows: Where the runs of the search are.
        like: The cell.
        higher_is_better: Whether more of the figure is better.

    Returns:
        `like` with that rate and shape; `None` if nothing was searched.
    """
    figures: dict[tuple[float, str], list[float]] = {}
    for run, row in rows.rows.items():
        if run.stage == "search" and run._replace(
            rate=like.rate, shape=like.shape, seed=like.seed
        ) == like._replace(stage="search"):
            figures.setdefault((run.rate, run.shape), []).append(
                float(row["validation"])
            )
    if not figures:
        return None
    sign = 1 if higher_is_better else -1
    rate, shape = max(
        figures, key=lambda key: sign * sum(figures[key]) / len(figures[key])
    )
    return like._replace(rate=rate, shape=shape)


def main(_: list[str]) -> None:
    """Searches, tests, and reports."""
    from benchmarks.accuracy import report
    from benchmarks.accuracy.methods import METHODS

    rows = Rows(FLAGS.output + ".csv")
    methods = FLAGS.method or ["dense", *METHODS]
    cells = [
        Run(
            "search",
            FLAGS.dataset,
            FLAGS.model,
            FLAGS.optimizer,
            FLAGS.epochs,
            block,
            sparsity,
            method,
            0.0,
            "",
            0,
        )
        for method, block, sparsity in itertools.product(
            methods, FLAGS.block, FLAGS.sparsity
        )
    ]
    run_all(
        [
            cell._replace(rate=rate, shape=shape, seed=_SEARCH + seed)
            for seed, cell, rate, shape in itertools.product(
                range(FLAGS.search_seeds), cells, FLAGS.rate, FLAGS.shape
            )
        ],
        rows,
        "search",
    )
    higher = FLAGS.dataset != "criteo"
    chosen = [run for cell in cells if (run := best(rows, cell, higher))]
    final = [
        run._replace(stage=stage, seed=FLAGS.first_seed + seed)
        for run in chosen
        for stage in (["test", "retrain"] if FLAGS.retrain else ["test"])
        for seed in range(FLAGS.seeds)
        if stage == "test" or run.method != "dense"
    ]
    # All methods of a seed before the next seed, so that what there is when
    # somebody stops can be compared.
    run_all(sorted(final, key=lambda run: run.seed), rows, "test")
    print(report.choices(chosen, rows.rows))
    tested = {run: rows.rows[run] for run in final if run in rows.rows}
    if not tested:
        print(f"No test figures yet. Rows are in {rows.path}")
        return
    print(report.table(tested))
    print(report.differences(tested))
    report.plot(tested, FLAGS.output + ".png")
    print(f"Rows are in {rows.path}, the picture in {FLAGS.output}.png")


if __name__ == "__main__":
    app.run(main)
