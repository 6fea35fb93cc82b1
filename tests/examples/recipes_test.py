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
"""Every recipe runs from end to end on TFDS's mock data."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

PROGRAM = """
import runpy, sys
import numpy as np
import tensorflow_datasets as tfds
name = sys.argv[1]
sys.path.insert(0, "examples")
sys.argv = sys.argv[1:]
with tfds.testing.mock_data(num_examples=16):
    runpy.run_path(f"examples/{name}", run_name="__main__")
"""

SMALL = ["--epochs=2", "--batch_size=8"]


def start(program, name, *flags, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", program, name, *SMALL, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.fspath(ROOT),
            **(environment or {}),
        },
    )


def finish(process, code=0):
    output, errors = process.communicate(timeout=400)
    assert process.returncode == code, errors[-3000:]
    return output


def run(name, *flags):
    return finish(start(PROGRAM, name, *flags))


def check_models(output, folder):
    for word in ("parameters", "x smaller", "x faster"):
        assert word in output
    assert {"dense.tflite", "pruned.tflite", "masks.png"} <= set(
        os.listdir(folder)
    )


def test_imagenet_resnet50(tmp_path):
    output = run(
        "imagenet_resnet50.py",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        "--image_size=32",
        "--block=128",
        "--min_blocks=16",
    )

    assert "validation accuracy" in output
    assert "1 x 1 x 128 x 128" in output
    check_models(output, tmp_path)


@pytest.mark.parametrize(
    "flags",
    [["--mixed_precision", "--strategy=mirrored"], ["--jit_compile"]],
    ids=["mixed-mirrored", "xla"],
)
def test_bert_encoder(flags, tmp_path):
    output = run(
        "bert_encoder.py",
        f"--output_dir={tmp_path}",
        "--width=64",
        "--heads=2",
        "--blocks=1",
        "--length=8",
        "--vocabulary=100",
        "--block=4",
        *flags,
    )

    assert "block_1_attention/query" in output
    assert "block_1_inner" in output
    check_models(output, tmp_path)


PADDED = """
import sys
sys.path.insert(0, "examples")
sys.argv = [
    "bert_encoder.py", "--width=32", "--heads=2", "--blocks=2",
    "--vocabulary=50"]
import bert_encoder, keras, tfmot_sapp as sapp
import numpy as np

bert_encoder.FLAGS(sys.argv)

def make(length):
    bert_encoder.FLAGS.length = length
    model = sapp.prune_blocks(
        bert_encoder.make_model(), sapp.ConstantSparsity(0.75, 0),
        {"block_*": (4, 4)}, pruning_policy=sapp.MinimumBlocks(4))
    model.compile("sgd", "mse")
    return model

rng = np.random.default_rng(0)
words = rng.integers(1, 50, (4, 5))
padded = np.pad(words, ((0, 0), (0, 7)))
long = make(12)
long.fit(padded, np.ones((4, 2)), verbose=0,
         callbacks=[sapp.UpdatePruningStep()])
short = make(5)
for theirs, mine in zip(long.variables, short.variables):
    value = keras.ops.convert_to_numpy(theirs)
    if mine.shape != value.shape:
        assert mine.path == "places/table", mine.path
        value = value[:5]
    mine.assign(value)
rows = {row.name: row.kept / row.blocks for row in sapp.report(long).pruned}
assert len(rows) == 2 * 6 and set(rows.values()) == {0.25}, rows
expected = short.predict(words, verbose=0)
np.testing.assert_allclose(
    long.predict(padded, verbose=0), expected, atol=1e-5)
assert np.ptp(expected) > 1e-2
other = padded.copy()
other[:, 5] = 7
assert np.abs(long.predict(other, verbose=0) - expected).max() > 1e-4
"""


def test_padding_is_neither_attended_to_nor_pooled():
    finish(start(PADDED, "bert_encoder.py"))


def test_fashion_mnist(tmp_path):
    output = run(
        "fashion_mnist.py",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        "--method=SequentialAttention++",
        "--method=hard concrete",
    )

    for word in ("dense", "SequentialAttention++", "hard concrete", "95.0 %"):
        assert word in output


@pytest.mark.parametrize("network", ["lenet_300_100", "lenet_5"])
def test_mnist_lenet(network, tmp_path):
    output = run(
        "mnist_lenet.py", f"--output_dir={tmp_path}", f"--network={network}"
    )

    for word in ("dense", "diff_prune", "hard_concrete", "published"):
        assert word in output


def test_structured_mlp(tmp_path):
    output = run("structured_mlp.py", f"--output_dir={tmp_path}", "--epochs=1")

    for word in ("dense", "i-SpaSP", "OSSCAR", "fine-tuned"):
        assert word in output


def test_structured_imagenet(tmp_path):
    output = run(
        "structured_imagenet.py",
        f"--output_dir={tmp_path}",
        "--network=mobilenet_v2",
        "--image_size=32",
        "--epochs=1",
    )

    assert "smaller" in output and "G multiply-adds" in output


def test_structured_encoder(tmp_path):
    output = run(
        "structured_encoder.py",
        f"--output_dir={tmp_path}",
        "--width=32",
        "--heads=4",
        "--blocks=1",
        "--length=8",
        "--vocabulary=100",
        "--batch_size=4",
        "--epochs=1",
    )

    assert "block_1_attention" in output and "heads" in output
    assert "smaller" in output


@pytest.mark.parametrize(
    "name, before, after",
    [("resnet34", 3.66e9, 2.69e9), ("mobilenet_v2", 300.8e6, 246.8e6)],
)
def test_the_papers_settings_give_its_flops(name, before, after):
    """arXiv 2112.04905, Section 5; convolutions and Dense only."""
    sys.path.insert(0, os.fspath(ROOT / "examples"))
    try:
        import structured_networks as networks
    finally:
        sys.path.pop(0)
    from tfmot_sapp import count_flops
    from tfmot_sapp.structured.groups import find_groups
    from tfmot_sapp.structured.keep import counts_of
    from tfmot_sapp.structured.shrink import shrink

    model = networks.make(name)
    groups = {group.name: group for group in find_groups(model).groups}
    counts = counts_of(model, groups, networks.keep(name))

    smaller = shrink(
        model, groups, {n: np.arange(count) for n, count in counts.items()}
    )

    assert count_flops(model) == pytest.approx(before, rel=1.1e-3)
    assert count_flops(smaller) == pytest.approx(after, rel=1e-3)


def write_rows(path, rows=200, fields=39):
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        integers = rng.integers(-1, 500, 13).astype(str)
        categories = [f"{value:08x}" for value in rng.integers(0, 9, 26)]
        values = [str(rng.integers(2)), *integers, *categories]
        values[3] = values[20] = ""
        lines.append("\t".join(values[: fields + 1]))
    path.write_text("\n".join(lines) + "\n")


CRITEO = ["--batch_size=32", "--buckets=512"]


def test_criteo_from_a_table(tmp_path):
    write_rows(tmp_path / "rows.tsv")

    output = run(
        "criteo_mlp.py",
        f"--output_dir={tmp_path}",
        f"--tsv={tmp_path / 'rows.tsv'}",
        *CRITEO,
    )

    assert "test log loss" in output
    assert "10 x 10" in output and "156 / 1560" in output
    check_models(output, tmp_path)


def test_criteo_from_the_tfds_builder(tmp_path):
    manual = tmp_path / "manual"
    manual.mkdir()
    write_rows(manual / "train.txt")
    program = PROGRAM.replace(
        "with tfds.testing.mock_data(num_examples=16):", "if True:"
    )

    output = finish(
        start(
            program,
            "criteo_mlp.py",
            f"--output_dir={tmp_path}",
            f"--data_dir={tmp_path / 'data'}",
            f"--manual_dir={manual}",
            "--nobaseline",
            *CRITEO,
        )
    )

    check_models(output, tmp_path)


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


def hashed_rows(folder):
    rng = np.random.default_rng(0)
    np.savez(
        folder / "rows.npz",
        tokens=rng.integers(-1, 1 << 20, (200, 39)).astype(np.int32),
        label=rng.integers(0, 2, 200).astype(np.uint8),
    )
    return [f"--hashed={folder / 'rows.npz'}", "--epochs=4", *CRITEO]


def test_a_stopped_recipe_goes_on_as_if_it_had_not_been(tmp_path):
    flags = [*hashed_rows(tmp_path), "--preset=paper", "--sparsity=0.8"]
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    uninterrupted = start(
        PROGRAM, "criteo_mlp.py", f"--output_dir={whole}", *flags
    )
    flags.append(f"--output_dir={parted}")

    finish(start(STOPPED + PROGRAM, "criteo_mlp.py", *flags), code=7)
    dense, _ = read_checkpoint(parted, "dense")
    pruned, _ = read_checkpoint(parted, "pruned")
    assert (dense["epochs"], pruned["epochs"]) == (4, 2)
    output = run("criteo_mlp.py", *flags)

    check_models(finish(uninterrupted), whole)
    check_models(output, parted)
    # The dense model is not trained again.
    assert "dense: goes on after 4 epochs" in output
    assert output.count("Epoch 4/4") == 1 and "Epoch 2/4" not in output
    for training in ("dense", "pruned"):
        state, expected = read_checkpoint(whole, training)
        _, found = read_checkpoint(parted, training)
        assert found.keys() == expected.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name], name)
    assert sum(array.dtype == bool for array in found.values()) == 2
    # What the preset sets, and what is given beside it.
    assert state["settings"]["learning_rate"] == 2e-2
    assert state["settings"]["final_learning_rate"] == 3e-4
    assert state["settings"]["schedule"] == "criteo"
    assert state["settings"]["batch_size"] == 32


def test_two_workers_prune_as_one_and_the_chief_alone_writes(tmp_path):
    flags = [*hashed_rows(tmp_path), "--nobaseline", "--learning_rate=0.01"]
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            ports.append(f"localhost:{probe.getsockname()[1]}")

    def worker(index):
        task = {
            "cluster": {"worker": ports},
            "task": {"type": "worker", "index": index},
        }
        return start(
            PROGRAM,
            "criteo_mlp.py",
            f"--output_dir={tmp_path / str(index)}",
            "--strategy=workers",
            *flags,
            environment={"TF_CONFIG": json.dumps(task)},
        )

    processes = [worker(0), worker(1)]
    one = start(PROGRAM, "criteo_mlp.py", f"--output_dir={tmp_path}", *flags)
    finish(one)
    chief, other = map(finish, processes)

    check_models(chief, tmp_path / "0")
    assert "parameters" not in other and "Epoch" not in other
    assert not (tmp_path / "1").exists()
    _, expected = read_checkpoint(tmp_path, "pruned")
    _, found = read_checkpoint(tmp_path / "0", "pruned")
    for name, array in found.items():
        if array.dtype == bool:
            np.testing.assert_array_equal(array, expected[name])
            assert array.sum() == 156


def test_a_table_of_other_width_is_refused(tmp_path):
    sys.path.insert(0, os.fspath(ROOT / "examples"))
    try:
        from criteo_dataset import read_rows
    finally:
        sys.path.pop(0)
    write_rows(tmp_path / "rows.tsv", fields=20)

    with pytest.raises(ValueError, match="Line 1 .*40 fields.*Received: 21"):
        list(read_rows(tmp_path / "rows.tsv"))
