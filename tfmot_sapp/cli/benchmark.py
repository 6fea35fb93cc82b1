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
"""Times exported models beside each other from the command line.

```sh
python -m tfmot_sapp.benchmark_main dense.tflite pruned.tflite --plot=times.png
python -m tfmot_sapp.benchmark_main base=a.tflite new=b.tflite --batch_size=32
python -m tfmot_sapp.benchmark_main dense.tflite pruned.tflite --accelerator=gpu
```

The first is what the others are compared with.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from tfmot_sapp.base.checks import check_count
from tfmot_sapp.base.files import write_file
from tfmot_sapp.base.paths import check_path
from tfmot_sapp.cli.errors import on_one_line
from tfmot_sapp.cli.target import chosen_target
from tfmot_sapp.export.benchmark.benchmark import benchmark

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_integer("threads", 1, "Number of threads.")
    flags.DEFINE_enum(
        "accelerator", "cpu", ["cpu", "gpu"], "Where to run the models."
    )
    flags.DEFINE_integer("batch_size", 1, "Samples per call.")
    flags.DEFINE_integer("rounds", 50, "Number of rounds.")
    flags.DEFINE_integer("seed", 0, "Seed of the inputs and of the orders.")
    flags.DEFINE_string("plot", None, "A PNG file to write.")
    flags.DEFINE_string("json", None, "A JSON file to write.")


def main(arguments: Sequence[str]) -> None:
    """Times the models, prints the table, writes what was asked for."""
    from rich.console import Console

    console = Console()
    with on_one_line(console, f"Timing {' '.join(arguments[1:])}"):
        _run(console, arguments[1:])


def _run(console: Any, arguments: Sequence[str]) -> None:
    models = named_paths(arguments)
    check_count(FLAGS.threads, "threads")
    target = chosen_target(FLAGS.accelerator, FLAGS.threads)
    for path in (FLAGS.plot, FLAGS.json):
        if path is not None:
            check_path(path, "file")
    if all(pathlib.Path(path).is_dir() for path in models.values()):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    result = benchmark(
        models,
        target=target,
        batch_size=FLAGS.batch_size,
        rounds=FLAGS.rounds,
        seed=FLAGS.seed,
    )
    console.print(result.table())
    if FLAGS.plot is not None:
        result.plot(FLAGS.plot)
    if FLAGS.json is not None:
        text = json.dumps(result.to_dict(), indent=2) + "\n"
        write_file(FLAGS.json, text.encode())


def named_paths(arguments: Sequence[str]) -> dict[str, str]:
    """Reads `name=path` or plain paths, which are named after themselves.

    Args:
        arguments: The command line's arguments.

    Returns:
        Dictionary from names to paths.

    Raises:
        ValueError: If there are none, or a name comes twice.

    Example:

    >>> named_paths(["dense=a/model.tflite", "b/packed.tflite"])
    {'dense': 'a/model.tflite', 'packed': 'b/packed.tflite'}
    """
    named: dict[str, str] = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not separator:
            name, path = pathlib.Path(argument).stem, argument
        if name in named:
            raise ValueError(
                "Every model needs a name of its own; write name=path. "
                f"Received: {name!r} twice."
            )
        named[name] = path
    if not named:
        raise ValueError(
            "Name at least one `.tflite` file or SavedModel directory. "
            "Received: none."
        )
    return named
