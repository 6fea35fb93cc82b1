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
"""`compress_main`, from a saved model to a table and the files beside it."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfmot_sapp.cli.compared import (
    Compared,
    compared,
    fitting_inputs,
    load_arrays,
)


def run(*arguments):
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-m", "tfmot_sapp.compress_main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def files(tmp_path):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((256,)),
            layers.Dense(512, "relu", name="one"),
            layers.Dense(512, "relu", name="two"),
            layers.Dense(4, "softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 256)).astype(np.float32)
    labels = model.predict(images, verbose=0).argmax(-1)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    return tmp_path


def test_writes_a_faster_file_and_what_it_did(files):
    done = run(
        f"--model={files}/model.keras",
        f"--data={files}/data.npz",
        "--labels=labels",
        "--speedup=1.5",
        f"--output={files}/small.tflite",
        "--rounds=3",
    )

    assert done.returncode == 0, done.stderr
    # Not even what TensorFlow says of the machine.
    assert done.stderr == ""
    for words in ("accuracy on 15", "100.0 %", "parameters", "latency"):
        assert words in done.stdout
    assert sorted(os.listdir(files)) == [
        "data.npz",
        "model.keras",
        "small.masks.png",
        "small.report.txt",
        "small.tflite",
    ]
    report = (files / "small.report.txt").read_text(encoding="utf-8")
    assert "accuracy on 15" in report
    assert "two" in report
    whole = keras.saving.load_model(files / "model.keras").count_params()
    assert (files / "small.tflite").stat().st_size < 0.8 * 4 * whole


def test_errors_are_one_line(files, forks):
    refused = forks.module(
        "tfmot_sapp.compress_main",
        f"--model={files}/model.keras",
        f"--data={files}/data.npz",
        f"--output={files}/small.tflite",
    )

    assert refused.returncode == 1
    (line,) = refused.stdout.splitlines()
    assert "One of `sparsity` and `speedup`" in line
    assert "Traceback" not in refused.stderr
    assert not (files / "small.tflite").exists()


def test_data_are_divided_and_compared(files):
    arrays, labels = load_arrays(f"{files}/data.npz", "labels")
    model = keras.saving.load_model(files / "model.keras")
    split = Compared.split(arrays, labels, 0.25)
    other = keras.models.clone_model(model)

    (known,) = compared(split, model, other)
    (unknown,) = compared(
        Compared(split.calibration, split.held_out, None), model, model
    )

    assert len(split.held_out) == 15
    assert len(split.calibration) == 45
    share = np.mean(other(split.held_out).numpy().argmax(-1) == split.labels)
    assert known[1:] == ["100.0 %", f"{100 * share:.1f} %"]
    assert unknown[1:] == ["100.0 %", "100.0 %"]


def test_data_that_do_not_fit_are_refused(files):
    np.save(files / "few.npy", np.zeros(3))

    with pytest.raises(ValueError, match="label each.*3"):
        load_arrays(f"{files}/data.npz", f"{files}/few.npy")
    with pytest.raises(ValueError, match="`data` must be a `.npy`"):
        load_arrays(f"{files}/model.keras", None)
    with pytest.raises(ValueError, match="`labels` must be a `.npy`"):
        load_arrays(f"{files}/data.npz", "classes")


def test_labels_are_numbers_or_one_hot(files):
    np.save(files / "one_hot.npy", np.eye(4)[np.arange(60) % 4])
    np.save(files / "scores.npy", np.full((60, 4), 0.25))
    np.save(files / "names.npy", np.full(60, "cat"))

    _, labels = load_arrays(f"{files}/data.npz", f"{files}/one_hot.npy")
    np.testing.assert_array_equal(labels, np.arange(60) % 4)
    with pytest.raises(ValueError, match="`labels` must be one number"):
        load_arrays(f"{files}/data.npz", f"{files}/scores.npy")
    with pytest.raises(ValueError, match="number of each.*<U3"):
        load_arrays(f"{files}/data.npz", f"{files}/names.npy")
    with pytest.raises(ValueError, match="one array.*'images', 'labels'"):
        load_arrays(f"{files}/data.npz", f"{files}/data.npz")


def test_arrays_that_a_model_does_not_take_are_told(files):
    model = keras.saving.load_model(files / "model.keras")
    arrays, _ = load_arrays(f"{files}/data.npz", None)
    name = model.inputs[0].name

    with pytest.raises(ValueError, match="by --labels.*'images', 'labels'"):
        fitting_inputs(model, arrays)
    named = fitting_inputs(model, {name: arrays["images"], "other": arrays})
    assert list(named) == [name]
