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
"""Disks that are full at every stage of writing: an error, and all as it was.

    python tests/campaign/full_disks.py --seed=1 --count=200

Everything that writes files writes them over older ones with less and less
room: a limit of the size of a file, and, where this user may mount one, a small
disk in memory that another file has filled, for the files themselves and for
temporary ones. A call either succeeds, or raises a ValueError on one line that
says what can't be written; then the older files are what they were, and there
are no others.
"""

import contextlib
import os
import pathlib
import random
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from trials import Outcome, main

import tfmot_sapp as sapp

_DISK_MEGABYTES = 4
# Event files grow while they are written; what is whole in them stays.
_GROWING = "logs"


def jobs() -> dict[str, Callable[[], object]]:
    """Returns what writes files, by the names of these."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    kernel, bias = model.get_weights()
    model.set_weights([kernel * np.kron(np.eye(4), np.ones((4, 4))), bias])
    packed = sapp.pack_blocks(model)
    pruned = sapp.prune_blocks(
        model,
        sapp.ConstantSparsity(0.5, 0),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    pruned.compile("sgd", "mse", run_eagerly=True)
    sapp.export_tflite(model, "source.tflite")
    times = sapp.benchmark({"source": "source.tflite"}, rounds=1)

    def fit() -> None:
        callbacks = [sapp.UpdatePruningStep(), sapp.PruningSummaries("logs")]
        pruned.fit(x, x, epochs=1, verbose=0, callbacks=callbacks)

    return {
        "float.tflite": lambda: sapp.export_tflite(model, "float.tflite"),
        "again.tflite": lambda: sapp.export_tflite(
            keras.models.clone_model(model), "again.tflite", pack=True
        ),
        "half.tflite": lambda: sapp.export_tflite(
            packed, "half.tflite", quantize="float16"
        ),
        "int8.tflite": lambda: sapp.export_tflite(
            packed, "int8.tflite", quantize="int8", representative_data=x
        ),
        "packed.tflite": lambda: sapp.pack_tflite(
            "source.tflite", "packed.tflite"
        ),
        "new/served": lambda: sapp.export_saved_model(packed, "new/served"),
        "masks.png": lambda: sapp.plot_masks(pruned, "masks.png"),
        "schedule.svg": lambda: sapp.OneShot(0.5, 100).plot("schedule.svg"),
        "times.pdf": lambda: times.plot("times.pdf"),
        "logs": fit,
        "nothing": lambda: sapp.pack_blocks(
            model, tune=sapp.Tuning(seconds=0.01)
        ),
    }


def content(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns what is in a folder, but for growing files."""
    return {
        name: path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not (name := str(path.relative_to(folder))).startswith(_GROWING)
        and name != "ballast"
    }


def is_whole(path: pathlib.Path) -> bool:
    """Returns whether a file that was written can be read."""
    if (path / "saved_model.pb").exists():
        return bool(tf.saved_model.load(os.fspath(path)).signatures)
    if path.suffix == ".tflite":
        tf.lite.Interpreter(os.fspath(path)).allocate_tensors()
    return not path.is_file() or path.stat().st_size > 100


@contextlib.contextmanager
def small_files(room: int) -> Iterator[None]:
    """Lets no file grow beyond a size."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@contextlib.contextmanager
def filled(folder: pathlib.Path, room: int) -> Iterator[None]:
    """Fills a disk but for some room."""
    ballast = folder / "ballast"
    status = os.statvfs(folder)
    size = max(status.f_bavail * status.f_frsize - room, 0)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def mounted(folder: pathlib.Path) -> Iterator[bool]:
    """Mounts a small disk in memory, where that is allowed."""
    folder.mkdir()
    size = f"size={_DISK_MEGABYTES}m"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
        is_mounted = done.returncode == 0
    except FileNotFoundError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        os.chdir("/")
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def attempt(
    name: str,
    job: Callable[[], object],
    folder: pathlib.Path,
    full: contextlib.AbstractContextManager[None],
) -> tuple[str, str | None]:
    """Runs a job where there is little room, and judges what is left."""
    before = content(folder)
    error = None
    try:
        with full:
            job()
    except Exception as caught:
        error = caught
    after = content(folder)
    if error is None:
        changed = {n for n in before if not n.startswith(name)}
        same = all(before[n] == after.get(n) for n in changed)
        fine = same and is_whole(folder / name)
        return "written", None if fine else f"{name}: damaged or more changed"
    if after != before:
        return "changed", f"{name}: {after.keys() ^ before.keys()}"
    text = str(error)
    clear = (
        isinstance(error, ValueError)
        and "can't be written" in text
        and "\n" not in text
        and "Received: " in text
    )
    return "refused", None if clear else f"{name}: {type(error)}: {text}"


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Runs jobs with room that is drawn at random."""
    rng = random.Random(seed)
    with (
        mounted(folder / "disk") as has_disk,
        mounted(folder / "spare") as has_spare,
    ):
        work, spare = folder / "disk", folder / "spare"
        os.chdir(work)
        tempfile.tempdir = os.fspath(spare)
        made = jobs()
        for job in made.values():
            job()
        stages = ["file size"] + ["disk", "temporary"] * (has_disk & has_spare)
        names = sorted(made)
        for number in range(count):
            name = names[number % len(names)]
            stage = rng.choice(stages)
            room = int(10 ** rng.uniform(0, 5.5)) * rng.choice([0, 1, 1, 1])
            if stage == "file size":
                full = small_files(room)
            else:
                full = filled(work if stage == "disk" else spare, room)
            outcome, finding = attempt(name, made[name], work, full)
            if finding is not None:
                finding = f"{room} bytes of room, {finding}"
            yield f"{stage}, {name}: {outcome}", finding
        made.clear()
        tempfile.tempdir = None


if __name__ == "__main__":
    main(__doc__, 200, trials)
