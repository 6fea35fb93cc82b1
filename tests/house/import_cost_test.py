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
"""Importing costs nothing: what needs a large library loads it when used."""

import subprocess
import sys

import h5py
import pytest
from litert_graphs import GraphBuilder

from tfmot_sapp.base import hdf5_trial
from tfmot_sapp.export.tflite import trial

LARGE = (
    "ai_edge_litert",
    "keras",
    "matplotlib",
    "rich",
    "tensorboard",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
)

IMPORT = "import tfmot_sapp, tfmot_sapp as sapp; dir(sapp); sapp.__version__"

# The Kerases and TensorFlow may have loaded some of these themselves, so they
# are taken away before this project is used.
PRUNE = """
import sys
import numpy as np, keras, tf_keras
models = [
    owner.Sequential([owner.Input((16,)), owner.layers.Dense(16)])
    for owner in (keras, tf_keras)
]
REFUSED = {"ai_edge_litert", "matplotlib", "rich", "tensorboard"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ImportError(f"{name} is not needed here.")

for name in list(sys.modules):
    if name.partition(".")[0] in REFUSED:
        del sys.modules[name]
sys.meta_path.insert(0, Refuse())

import tfmot_sapp as sapp
x = np.ones((1, 16))
for model in models:
    model = sapp.prune_blocks(
        model, sapp.SequentialAttentionSchedule(0.75, 6), (4, 4),
        pruning_policy=sapp.MinimumBlocks(4))
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(x, x, epochs=6, verbose=0, callbacks=[sapp.UpdatePruningStep()])
    sapp.strip_pruning(model)

# What draws, prints and times loads them when it does.
from tfmot_sapp.cli import benchmark, export
from tfmot_sapp.export.benchmark import benchmark, plot, result
from tfmot_sapp.export.tflite import conversion
"""


def run(program: str, environment: dict[str, str]) -> str:
    """Runs a program in a fresh process and returns what it printed last."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""


def loaded_by(program: str, environment: dict[str, str]) -> set[str]:
    """Returns the large libraries that a program loads."""
    report = f"import sys; print(*[n for n in {LARGE!r} if n in sys.modules])"
    return set(run(f"{program}\n{report}", environment).split())


def test_importing_loads_no_large_library(fresh_environment):
    assert loaded_by(IMPORT, fresh_environment) == set()


def test_a_large_library_would_be_seen(fresh_environment):
    program = f"{IMPORT}; import rich"

    assert loaded_by(program, fresh_environment) == {"rich"}


def h5_file(path):
    with h5py.File(path, "w") as file:
        file["a"] = [1.0]


def tflite_file(path):
    graph = GraphBuilder(0, (4, 4), 0.5)
    path.write_bytes(graph.file([graph.dense(graph.input(1, 8), 8)]))


@pytest.mark.parametrize(
    "write, tried, needed",
    [
        (h5_file, hdf5_trial, set()),
        (tflite_file, trial, {"ai_edge_litert"}),
    ],
)
def test_trying_a_file_loads_no_large_library(
    write, tried, needed, tmp_path, fresh_environment
):
    write(tmp_path / "file")
    arguments = [str(tmp_path / "file"), *sys.path]
    program = f"import sys; sys.argv[1:] = {arguments}; {tried._PROGRAM}"

    assert loaded_by(program, fresh_environment) == needed


def test_pruning_needs_no_library_for_drawing_printing_or_exporting(
    fresh_environment,
):
    run(PRUNE, fresh_environment)
