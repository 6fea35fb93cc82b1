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
"""Trainings and exports that are killed at random moments lose nothing.

    python tests/campaign/kills.py --seed=1 --count=60

A training is killed, goes on in a new process from what `ModelCheckpoint` or
`BackupAndRestore` has kept, is killed again, and ends as the one that was not.
An export over an older one leaves the old or the new one, whole, and the next
one leaves nothing else behind.
"""

import itertools
import os
import pathlib
import random
import shutil
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from trials import Outcome, forks_in, main

SAVERS = ("checkpoints", "backup")
SCORERS = (
    "SequentialAttention()",
    "Magnitude()",
    "PowerPropagation()",
    "Movement()",
    "SecondMoment()",
    "DiffPrune()",
    "HardConcrete()",
)
SCHEDULES = (
    "SequentialAttentionSchedule(0.7, 24, cycles=2, reset_optimizer=True)",
    "SequentialAttentionSchedule(0.7, 24, cycles=1)",
    "ACDCSchedule(0.7, 24, cycles=2)",
    "EarlyRamp(0.7, 24)",
    "OneShot(0.7, 24)",
    "PolynomialDecay(0.0, 0.7, 2, 20, frequency=3)",
)

# argv: the Keras, the scorer, the schedule, the saver, seconds until the kill.
KILL = """
import os, signal, sys, threading
if float(sys.argv[-1]):
    threading.Timer(float(sys.argv[-1]),
                    lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
"""
TRAIN = """
import importlib, pathlib, shutil, sys
import h5py
import numpy as np
import tfmot_sapp as sapp
keras = importlib.import_module(sys.argv[1])
saver = sys.argv[4]
keras.utils.set_random_seed(1)
rng = np.random.default_rng(0)
x = rng.normal(size=(8, 12)).astype(np.float32)
model = keras.Sequential([
    keras.Input((12,)), keras.layers.Dense(12, activation="tanh"),
    keras.layers.Dense(12)])
model = sapp.prune_blocks(
    model, eval(f"sapp.{sys.argv[3]}"), (3, 3), eval(f"sapp.{sys.argv[2]}"),
    pruning_policy=sapp.MinimumBlocks(1))
model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
begin, callbacks = 0, [sapp.UpdatePruningStep()]
if saver == "checkpoints":
    for path in sorted(pathlib.Path().glob("[0-9]*.keras"), reverse=True):
        try:
            model = keras.models.load_model(path)
        except Exception:
            continue  # Keras was killed while it wrote it.
        model.run_eagerly = True
        begin = int(path.stem)
        break
    callbacks.append(keras.callbacks.ModelCheckpoint("{epoch:02d}.keras"))
if saver == "backup":
    # Keras 3 writes over its only backup unless it's told to keep two.
    both = {} if sys.argv[1] == "tf_keras" else {"double_checkpoint": True}
    callbacks.append(keras.callbacks.BackupAndRestore("backup", **both))
    weights = pathlib.Path("backup", "latest.weights.h5")
    if weights.exists() and not weights.with_name(
            weights.name + ".bkp").exists():
        try:
            h5py.File(weights).close()
        except OSError:  # The first one was killed as it was written.
            shutil.rmtree("backup")
model.fit(x, x[:, ::-1], batch_size=4, epochs=12, initial_epoch=begin,
          shuffle=False, verbose=0, callbacks=callbacks)
np.savez("final.npz", *model.get_weights())
"""
EXPORT = """
import importlib, sys
import numpy as np
import tfmot_sapp as sapp
keras = importlib.import_module(sys.argv[1])
model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
model.set_weights([np.eye(16) * float(sys.argv[4]), np.zeros(16)])
path = sys.argv[3]
for _ in range(3 if float(sys.argv[-1]) else 1):
    (sapp.export_tflite if path.endswith(".tflite") else
     sapp.export_saved_model)(model, path)
"""
READ = """
import sys
import numpy as np, tensorflow as tf
path = sys.argv[1]
if path.endswith(".tflite"):
    runner = tf.lite.Interpreter(path).get_signature_runner()
else:
    served = tf.saved_model.load(path)
    runner = served.signatures["serving_default"]
name, = (runner.get_input_details() if path.endswith(".tflite") else
         runner.structured_input_signature[1])
y, = runner(**{name: tf.ones((1, 16))}).values()
print(float(np.asarray(y)[0, 0]))
"""


def weights_of(folder: pathlib.Path) -> list[np.ndarray]:
    """Returns the weights that a training has ended with."""
    with np.load(folder / "final.npz") as found:
        return [found[name] for name in found.files]


def training(
    forks: Any,
    rng: random.Random,
    folder: pathlib.Path,
    scorer: str,
    saver: str,
) -> Outcome:
    """Kills a training up to four times, and lets it end."""
    keras = rng.choice(["keras", "tf_keras"])
    pieces = keras, scorer, rng.choice(SCHEDULES)
    whole, parted = folder / "whole", folder / "parted"
    for each in (whole, parted):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    begin = time.monotonic()
    done = forks.run(KILL + TRAIN, *pieces, "none", "0", cwd=whole)
    most = time.monotonic() - begin
    if done.returncode:
        return "training: uninterrupted", done.stderr[-1500:]
    kills = 0
    for left in range(4, -1, -1):
        seconds = rng.uniform(0.1, 1.0) * most if left else 0
        done = forks.run(KILL + TRAIN, *pieces, saver, str(seconds), cwd=parted)
        if done.returncode == 0:
            break
        if done.returncode != -9:
            return f"training: {saver}", f"{pieces}: {done.stderr[-1500:]}"
        kills += 1
    same = all(map(np.array_equal, weights_of(whole), weights_of(parted)))
    outcome = f"training: {scorer}, {saver}, {kills} kills"
    return outcome, None if same else f"{pieces}: other weights"


def export(forks: Any, rng: random.Random, folder: pathlib.Path) -> Outcome:
    """Kills an export over an older one."""
    folder = folder / "export"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    keras = rng.choice(["keras", "tf_keras"])
    name = rng.choice(["model.tflite", "model"])

    def write(value: int, seconds: float) -> int:
        return forks.run(
            KILL + EXPORT,
            keras,
            "-",
            name,
            str(value),
            str(seconds),
            cwd=folder,
        ).returncode

    if write(1, 0):
        return "export", "the first one failed"
    code = write(2, rng.uniform(0.5, 6))
    if code not in (0, -9):
        return f"export: {name}", f"exit code {code}"
    read = forks.run(READ, name, cwd=folder)
    if read.returncode or float(read.stdout) not in (1, 2):
        return f"export: {name}", f"half a file: {read.stderr[-1500:]}"
    if write(3, 0) or os.listdir(folder) != [name]:
        return f"export: {name}", f"left behind: {os.listdir(folder)}"
    return f"export: {name}, exit code {code}", None


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Kills trainings and exports in turns, every scorer with every saver."""
    rng = random.Random(seed)
    forks = forks_in(folder / "forks")
    pairs = itertools.cycle(itertools.product(SCORERS, SAVERS))
    for number in range(count):
        if number % 3 == 2:
            yield export(forks, rng, folder)
        else:
            yield training(forks, rng, folder, *next(pairs))
    forks.close()


if __name__ == "__main__":
    main(__doc__, 60, trials)
