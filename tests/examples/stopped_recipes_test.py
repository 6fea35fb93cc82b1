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
"""Recipes that were stopped go on, and several workers train like one."""

import json
import socket

import h5py
import keras
import numpy as np
import pytest

import tfmot_sapp as sapp
from examples.shared.checkpoints import Checkpoints, SaveEachEpoch

# Ends the process in the middle of an epoch of the second training.
STOPPED = """
import os
import tfmot_sapp

class Stopping(tfmot_sapp.UpdatePruningStep):
    batches = 0
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        Stopping.batches += 1
        if Stopping.batches == 13:
            os._exit(7)

tfmot_sapp.UpdatePruningStep = Stopping
"""


def read_checkpoint(folder, training):
    """Returns the state of a training and all arrays of its weights file."""
    folder = folder / "checkpoints" / "criteo_mlp" / training
    state = json.loads((folder / "state.json").read_text())
    arrays = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(folder / state["weights"]) as file:
        file.visititems(note)
    return state, arrays


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Flags with rows that are hashed already."""
    rng = np.random.default_rng(0)
    rows = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(
        rows,
        tokens=rng.integers(-1, 1 << 20, (200, 39)).astype(np.int32),
        label=rng.integers(0, 2, 200).astype(np.uint8),
    )
    return [
        f"--hashed={rows}",
        "--epochs=4",
        "--batch_size=32",
        "--buckets=512",
        "--preset=paper",
        "--sparsity=0.8",
    ]


@pytest.fixture(scope="module")
def whole(run, flags, tmp_path_factory):
    """The folder of a run that was not stopped, of one worker."""
    folder = tmp_path_factory.mktemp("whole")
    run("block_pruning.criteo_mlp", f"--output_dir={folder}", *flags)
    return folder


def test_a_stopped_recipe_goes_on_as_if_it_had_not_been(
    run, flags, whole, tmp_path
):
    flags = [*flags, f"--output_dir={tmp_path}"]

    run("block_pruning.criteo_mlp", *flags, before=STOPPED, code=7)
    dense, _ = read_checkpoint(tmp_path, "dense")
    pruned, _ = read_checkpoint(tmp_path, "pruned")
    assert (dense["epochs"], pruned["epochs"]) == (4, 2)
    output = run("block_pruning.criteo_mlp", *flags)

    for folder in (whole, tmp_path):
        assert (folder / "pruned.tflite").exists()
    # The dense model is not trained again.
    assert "dense: goes on after 4 epochs" in output
    assert output.count("Epoch 4/4") == 1 and "Epoch 2/4" not in output
    for training in ("dense", "pruned"):
        state, expected = read_checkpoint(whole, training)
        _, found = read_checkpoint(tmp_path, training)
        assert found.keys() == expected.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name], name)
    assert sum(array.dtype == bool for array in found.values()) == 2
    # What the preset sets, and what is given beside it.
    assert state["settings"]["learning_rate"] == 2e-2
    assert state["settings"]["final_learning_rate"] == 3e-4
    assert state["settings"]["schedule"] == "criteo"
    assert state["settings"]["batch_size"] == 32


# Goes on as two processes, and waits for them. `FOLDER` and `PORTS` are theirs.
TWO_WORKERS = """
import json, os, signal, sys

workers = []
for index in range(2):
    process = os.fork()
    if process == 0:
        break
    workers.append(process)
else:
    while workers:
        process, status = os.wait()
        workers.remove(process)
        if status != 0:
            for other in workers:
                os.kill(other, signal.SIGKILL)
            sys.exit("A worker has failed.")
    sys.exit()
os.environ["TF_CONFIG"] = json.dumps({
    "cluster": {"worker": PORTS}, "task": {"type": "worker", "index": index}})
sys.argv.append(f"--output_dir={FOLDER}/{index}")
os.dup2(os.open(f"{FOLDER}/{index}.txt", os.O_WRONLY | os.O_CREAT), 1)
"""


def test_two_workers_prune_as_one_and_the_chief_alone_writes(
    run, flags, whole, tmp_path
):
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            ports.append(f"localhost:{probe.getsockname()[1]}")
    theirs = f"FOLDER, PORTS = {str(tmp_path)!r}, {ports!r}\n"

    run(
        "block_pruning.criteo_mlp",
        "--strategy=workers",
        "--nobaseline",
        *flags,
        before=theirs + TWO_WORKERS,
    )

    chief, other = ((tmp_path / f"{i}.txt").read_text() for i in range(2))
    assert "x faster" in chief
    assert (tmp_path / "0" / "pruned.tflite").exists()
    assert "parameters" not in other and "Epoch" not in other
    assert not (tmp_path / "1").exists()
    _, expected = read_checkpoint(whole, "pruned")
    _, found = read_checkpoint(tmp_path / "0", "pruned")
    masks = [name for name in found if found[name].dtype == bool]
    assert len(masks) == 2
    for name in masks:
        np.testing.assert_array_equal(found[name], expected[name])
        assert found[name].sum() == 312


def test_random_numbers_go_on_too(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8)).astype(np.float32)
    checkpoints = Checkpoints(str(tmp_path / "kept"), {"rate": (1, 2)})

    def train(end, *callbacks, restored=None):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(8),
            ]
        )
        model = sapp.prune_blocks(
            model,
            sapp.ConstantSparsity(0.75, 0),
            (2, 2),
            pruning_policy=sapp.MinimumBlocks(1),
        )
        model.compile("adam", "mse")
        first = restored.restore(model) if restored else 0
        model.fit(
            x,
            x,
            batch_size=4,
            initial_epoch=first,
            epochs=end,
            shuffle=False,
            verbose=0,
            callbacks=[sapp.UpdatePruningStep(), *callbacks],
        )
        return model.get_weights(), first

    whole, _ = train(4)
    train(2, SaveEachEpoch(checkpoints))
    parted, first = train(4, restored=checkpoints)
    other = Checkpoints(str(tmp_path / "kept"), {"rate": (1, 3)})
    afresh, begin = train(4, restored=other)

    assert (first, begin) == (2, 0)
    assert "made with other settings" in capsys.readouterr().out
    for mine, theirs, again in zip(parted, whole, afresh):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(again, theirs)
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["epoch_2.weights.h5", "state.json"]
