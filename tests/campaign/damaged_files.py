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
"""Damaged files on the command lines: one line and exit code 1, or success.

    python tests/campaign/damaged_files.py --seed=1 --count=200

Bytes are flipped, cut off, zeroed, doubled and moved in model files of every
kind, and `export_main`, `compress_main` or `benchmark_main` reads them.
Whatever comes of it, the programs print no traceback, don't crash or hang, take
no more memory than for a whole file and some, and leave no file behind when
they fail; what they print then is one line with the file's name and what to do.
"""

import os
import pathlib
import random
import shutil
import signal
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from trials import Outcome, forks_in, main

import tfmot_sapp as sapp

SECONDS = 300
# TensorFlow with both Kerases and a converter takes about one of these.
MOST_BYTES = 3 << 30
# argv: a file for the most memory that was taken, the module, its arguments.
PROGRAM = """
import atexit, pathlib, resource, runpy, sys
peak, module = sys.argv[1:3]
del sys.argv[1:3]
def measure():
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    most = max(resource.getrusage(kind).ru_maxrss for kind in kinds)
    pathlib.Path(peak).write_text(str(most * 1024))
atexit.register(measure)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def make_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes a small model in every format that the command lines read."""
    import keras
    import numpy as np
    import tf_keras

    files = []
    data = np.random.default_rng(0).normal(size=(40, 16))
    np.save(folder / "data.npy", data.astype(np.float32))
    for owner in (keras, tf_keras):
        owner.utils.set_random_seed(0)
        model = owner.Sequential(
            [
                owner.Input((16,)),
                owner.layers.Dense(32, activation="relu"),
                owner.layers.Dense(8),
            ]
        )
        kernel, bias = model.layers[0].get_weights()
        mask = np.kron(np.eye(2, 4), np.ones((8, 8)))
        model.layers[0].set_weights([kernel * mask, bias])
        for ending in (".keras", ".h5"):
            files.append(folder / f"{owner.__name__}{ending}")
            model.save(files[-1])
    packed = sapp.pack_blocks(model)
    sapp.export_tflite(packed, folder / "packed.tflite")
    sapp.export_saved_model(packed, folder / "served")
    return [*files, folder / "packed.tflite", folder / "served"]


def damaged(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Returns a kind of damage, and the content with it."""
    kind = rng.choice(["flip", "flips", "cut", "zeros", "double", "move"])
    if not content:
        return "empty", b"\0"
    some = bytearray(content)
    start, end = sorted(rng.randrange(len(some) + 1) for _ in range(2))
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else 20):
            some[rng.randrange(len(some))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del some[start:]
    elif kind == "zeros":
        some[start:end] = bytes(end - start)
    elif kind == "double":
        some[end:end] = some[start:end]
    else:
        some = some[:start] + some[end:] + some[start:end]
    return kind, bytes(some)


def damage(path: pathlib.Path, rng: random.Random) -> str:
    """Damages a file, one in a directory, or one in a zip archive."""
    if path.is_dir():
        path = rng.choice(sorted(p for p in path.rglob("*") if p.is_file()))
    if zipfile.is_zipfile(path) and rng.random() < 0.6:
        with zipfile.ZipFile(path) as archive:
            parts = {n: archive.read(n) for n in archive.namelist()}
        name = rng.choice(sorted(parts))
        if rng.random() < 0.2:
            kind = "removal"
            del parts[name]
        else:
            kind, parts[name] = damaged(parts[name], rng)
        with zipfile.ZipFile(path, "w") as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
        return f"{kind} in {name}"
    kind, content = damaged(path.read_bytes(), rng)
    path.write_bytes(content)
    return f"{kind} in {path.name}"


def order(
    path: pathlib.Path, work: pathlib.Path, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Returns a program that reads a file, and the names of what it writes."""
    if path.suffix in (".keras", ".h5"):
        if rng.random() < 0.25:
            flags = ["--sparsity=0.5", "--block_size=4,4", "--min_blocks=1"]
            return [
                "tfmot_sapp.compress_main",
                f"--model={path}",
                f"--data={work.parent / 'data.npy'}",
                f"--output={work / 'new.tflite'}",
                "--rounds=1",
                *flags,
            ], ["new.tflite", "new.masks.png", "new.report.txt"]
        output = rng.choice(["new.tflite", "new"])
    elif path.suffix == ".tflite" and rng.random() < 0.5:
        output = "new.tflite"
    else:
        return [
            "tfmot_sapp.benchmark_main",
            str(path),
            "--rounds=1",
            f"--json={work / 'times.json'}",
        ], ["times.json"]
    return [
        "tfmot_sapp.export_main",
        f"--model={path}",
        f"--output={work / output}",
    ], [output]


def fault_of(
    done: Any, path: pathlib.Path, work: pathlib.Path, outputs: Sequence[str]
) -> str | None:
    """Returns what a program did wrong with a damaged file, if anything."""
    printed = done.stdout + done.stderr
    left = {*os.listdir(work)} - {path.name}
    if done.returncode not in (0, 1) or "Traceback" in printed:
        return printed[-1500:]
    if done.returncode == 0:
        missing = {*outputs} ^ left
        return f"other files than asked for: {missing}" if missing else None
    lines = done.stdout.splitlines()
    if len(lines) != 1:
        return f"not one line: {done.stdout[-1500:]}"
    if path.name not in lines[0]:
        return f"no name: {lines[0]}"
    if "again" not in lines[0] and "Received" not in lines[0]:
        return f"no remedy: {lines[0]}"
    return f"left behind: {sorted(left)}" if left else None


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Damages files, and runs the program that reads them."""
    rng = random.Random(seed)
    sources = make_files(folder)
    forks = forks_in(folder / "forks")
    signal.signal(signal.SIGALRM, _too_long)
    peak, most = folder / "peak", 0
    for number in range(count):
        source = sources[number % len(sources)]
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        path = work / source.name
        if source.is_dir():
            shutil.copytree(source, path)
        else:
            shutil.copy(source, path)
        what = damage(path, rng)
        (module, *arguments), outputs = order(path, work, rng)
        program = module.removeprefix("tfmot_sapp.")
        signal.alarm(SECONDS)
        try:
            done = forks.run(PROGRAM, peak, module, *arguments, cwd=work)
        except TimeoutError:
            yield "hang", f"{source.name}, {what}, {program}"
            continue
        finally:
            signal.alarm(0)
        finding = fault_of(done, path, work, outputs)
        if peak.exists():  # Nothing measures what a signal has ended.
            taken = int(peak.read_text())
            peak.unlink()
            most = max(most, taken)
            if finding is None and taken > MOST_BYTES:
                finding = f"{taken} bytes of memory"
        if finding is not None:
            finding = f"{source.name}, {what}: {finding}"
        yield f"{source.name}: {program} {done.returncode}", finding
    forks.close()
    print(f"{most / 1e9:.2f} GB is the most memory of one program")


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"It took more than {SECONDS} seconds.")


if __name__ == "__main__":
    main(__doc__, 200, trials)
