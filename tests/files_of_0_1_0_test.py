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
"""What version 0.1.0 has written loads, computes the same, and trains on."""

import gzip
import json
import os
import pathlib

import numpy as np
import pytest

FILES = pathlib.Path(__file__).parent / "data" / "version_0_1_0"

# Loads files in a process that has imported this package and the Keras and has
# done nothing else.
PROGRAM = """
import importlib, json, sys, traceback
import numpy as np
import tfmot_sapp as sapp

keras = importlib.import_module(sys.argv[1])
jobs = json.loads(sys.argv[2])

def load(path, weights):
    model = keras.models.load_model(path)
    if weights:
        model.load_weights(weights)
    if path.endswith(".h5") and keras.__name__ == "keras":
        # From `.h5` files Keras 3 makes optimizers that can't train.
        model.compile("sgd", "mse")
    # For one step and a few samples, a graph is not worth its making.
    model.run_eagerly = True
    return model

def look(job):
    x = np.load(job["expected"])["x"]
    model = load(job["model"], job["weights"])
    found = {}
    if job["kind"] != "stripped":
        for row in sapp.report(model).pruned:
            kept = row.kept if row.mask is None else row.mask
            found[f"kept of {row.name}"] = kept
    found["y"] = model(x, training=False)
    found["zeros"] = [np.sum(weight == 0) for weight in model.get_weights()]
    if job["kind"] == "packed":
        return found
    wrapped = job["kind"] == "wrapped"
    callbacks = [sapp.UpdatePruningStep()] if wrapped else []
    before = model.get_weights()
    model.fit(x, np.zeros((len(x), 6)), batch_size=len(x), verbose=0,
              callbacks=callbacks)
    after = model.get_weights()
    found["trained"] = any(map(np.any, map(np.not_equal, before, after)))
    if wrapped:
        found["after"] = model(x, training=False)
        found["stripped"] = sapp.strip_pruning(model)(x, training=False)
    return found

for name, job in jobs.items():
    try:
        np.savez(job["found"], **look(job))
    except Exception:
        traceback.print_exc()
        sys.exit(f"This was {name}.")
"""


def kind_of(name):
    for kind in ("packed", "stripped"):
        if kind in name:
            return kind
    return "wrapped"


def jobs_of(keras_name, kind, folder):
    """Returns the files of a kind, and where to put what is found."""
    jobs = {}
    for path in sorted(FILES.glob(f"{keras_name}_*")):
        name = path.name.removesuffix(".gz")
        if path.suffix == ".npz" or kind_of(name) != kind:
            continue
        stem = name.partition(".")[0]
        if path.suffix == ".gz":
            path = folder / name
            compressed = (FILES / f"{name}.gz").read_bytes()
            path.write_bytes(gzip.decompress(compressed))
        jobs[name] = {
            "kind": kind,
            "model": os.fspath(path),
            "weights": None,
            "expected": os.fspath(FILES / f"{stem}.npz"),
            "found": os.fspath(folder / f"{name}.npz"),
        }
        if name.endswith(".weights.h5"):
            # Into the model as it was in another phase.
            other = FILES / f"{keras_name}_in_the_dense_phase.keras"
            jobs[name] |= {"model": os.fspath(other), "weights": str(path)}
    return jobs


def check(job, assert_close):
    found = dict(np.load(job["found"]))
    expected = dict(np.load(job["expected"]))
    assert_close(found["y"], expected["y"])
    np.testing.assert_array_equal(found["zeros"], expected["zeros"])
    if job["kind"] != "stripped":
        kept = {name for name in expected if name.startswith("kept of")}
        assert kept == {name for name in found if name.startswith("kept of")}
        for name in kept:
            np.testing.assert_array_equal(found[name], expected[name], name)
    if job["kind"] != "packed":
        assert found["trained"]
    if job["kind"] == "wrapped":
        assert kept
        assert_close(found["stripped"], found["after"])


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
@pytest.mark.parametrize(
    "kind, count", [("wrapped", 16), ("stripped", 4), ("packed", 5)]
)
def test_they_load_in_a_new_process(
    name, kind, count, assert_close, forks, tmp_path
):
    jobs = jobs_of(name, kind, tmp_path)
    assert len(jobs) == count

    done = forks.run(PROGRAM, name, json.dumps(jobs))

    assert done.returncode == 0, done.stderr[-3000:]
    faults = {}
    for file, job in jobs.items():
        try:
            check(job, assert_close)
        except AssertionError as fault:
            faults[file] = str(fault)[-1500:]
    assert not faults, "\n\n".join(f"{k}:\n{v}" for k, v in faults.items())
