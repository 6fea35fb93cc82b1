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
"""Whatever writes files is killed at random moments: old or new ones stay.

    python tests/campaign/kills_while_writing.py --seed=1 --count=60

A process writes the same files again and again, exports, pictures and event
files, and is killed. Each file is then one of the two that it wrote, byte by
byte; the next call that writes it leaves nothing else behind. `kills.py` is
about trainings.
"""

import os
import pathlib
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from trials import Outcome, main

import tfmot_sapp as sapp
from tfmot_sapp.base.directories import placed_directory

_SECONDS = 2.0


def jobs() -> dict[str, Callable[[int], object]]:
    """Returns what writes files by their names, in one of two versions."""
    models, schedules = [], []
    for version in (1, 2):
        keras.utils.set_random_seed(version)
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(64)])
        models.append(model)
        schedules.append(sapp.EarlyRamp(0.4 * version, 100))
        sapp.export_tflite(model, f"source{version}.tflite")
    times = sapp.benchmark({"one": "source1.tflite"}, rounds=1)

    def serve(version: int) -> None:
        # What `export_saved_model` does in the end, without its comparison.
        def is_ours(files: object) -> bool:
            return "saved_model.pb" in files  # type: ignore[operator]

        with placed_directory("served", is_ours) as folder:
            for name in ("saved_model.pb", "variables"):
                (folder / name).write_bytes(b"%d" % version * 100_000)

    return {
        "new.tflite": lambda version: sapp.pack_tflite(
            f"source{version}.tflite", "new.tflite"
        ),
        "float.tflite": lambda version: sapp.export_tflite(
            models[version - 1], "float.tflite"
        ),
        "model": lambda version: sapp.export_saved_model(
            models[version - 1], "model"
        ),
        "served": serve,
        "schedule.svg": lambda version: schedules[version - 1].plot(
            "schedule.svg"
        ),
        "times.png": lambda version: times.plot("times.png"),
    }


def is_whole(path: pathlib.Path) -> bool:
    """Returns whether what stands at a path can be read."""
    if path.name == "served":
        first, second = (path / n for n in ("saved_model.pb", "variables"))
        content = first.read_bytes()
        return content == second.read_bytes() and len(content) == 100_000
    if path.is_dir():
        serve = tf.saved_model.load(os.fspath(path)).signatures
        return bool(serve["serving_default"](tf.ones((1, 16))))
    content = path.read_bytes()
    if path.suffix == ".tflite":
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        interpreter.invoke()
        return True
    end = b"</svg>" if path.suffix == ".svg" else b"IEND\xaeB`\x82"
    return content.rstrip().endswith(end)


def killed(job: Callable[[int], object], seconds: float) -> int:
    """Runs a job again and again in a fork, and kills it."""
    process = os.fork()
    if process == 0:
        try:
            while True:
                job(1)
                job(2)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Kills each job in turn, at a moment that is drawn at random."""
    rng = random.Random(seed)
    os.chdir(folder)
    made = jobs()
    for job in made.values():
        job(1)
    there = set(os.listdir())
    names = sorted(made)
    for number in range(count):
        name = names[number % len(names)]
        code = killed(made[name], rng.uniform(0.0, _SECONDS))
        left = {*os.listdir()} - there
        outcome = f"{name}: killed{' while writing' if left else ''}"
        if code != -signal.SIGKILL:
            yield f"{name}: exit code {code}", f"{name}: ended by itself"
            continue
        if not is_whole(folder / name):
            yield outcome, f"{name}: half a file"
            continue
        made[name](2)
        left = {*os.listdir()} ^ there
        yield outcome, f"{name}: left {left}" if left else None
        for each in left:
            shutil.rmtree(each, ignore_errors=True)


if __name__ == "__main__":
    main(__doc__, 60, trials)
