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
"""The command lines, from a saved model to a picture of its speed."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras

from tfmot_sapp.frameworks.loading import load_model


def pruned(framework):
    generator = np.random.default_rng(0)
    inputs = framework.Input((256,), name="x")
    outputs = framework.layers.Dense(256, name="a")(inputs)
    model = framework.Model(inputs, outputs)
    kernel, bias = model.get_layer("a").get_weights()
    mask = np.kron(generator.random((8, 8)) < 0.2, np.ones((32, 32)))
    model.get_layer("a").set_weights([kernel * mask, bias])
    return model


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *map(os.fspath, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("framework", [keras, tf_keras])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.filterwarnings("ignore:.*legacy.*")
def test_the_keras_that_wrote_a_model_loads_it(tmp_path, framework, ending):
    path = tmp_path / f"model{ending}"
    pruned(framework).save(path)

    assert isinstance(load_model(path), framework.Model)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "text.keras").write_text("no model")

    with pytest.raises(ValueError, match="`path`.*doesn't exist"):
        load_model(tmp_path / "nothing.keras")
    with pytest.raises(ValueError, match="`path` must be a `.keras`"):
        load_model(tmp_path / "text.keras")
    with pytest.raises(ValueError, match="`path` must be a `.keras`"):
        load_model(tmp_path)


def test_from_a_saved_model_to_a_picture(tmp_path):
    pruned(keras).save(tmp_path / "model.keras")

    packed = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/packed.tflite",
        "--tune",
    )
    dense = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/dense.tflite",
        "--nopack",
    )
    again = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/dense.tflite",
        f"--output={tmp_path}/again.tflite",
    )
    timed = run(
        "tfmot_sapp.benchmark_main",
        tmp_path / "dense.tflite",
        f"new={tmp_path}/packed.tflite",
        "--rounds=3",
        f"--plot={tmp_path}/times.png",
        f"--json={tmp_path}/times.json",
    )

    assert packed.returncode == 0, packed.stderr
    assert "Packing" in packed.stdout
    assert dense.returncode == 0, dense.stderr
    assert again.returncode == 0, again.stderr
    assert "blocks kept" in again.stdout
    assert (tmp_path / "again.tflite").stat().st_size < 0.5 * (
        tmp_path / "dense.tflite"
    ).stat().st_size
    assert timed.returncode == 0, timed.stderr
    assert "dense" in timed.stdout
    assert "new" in timed.stdout
    assert sorted(os.listdir(tmp_path)) == [
        "again.tflite",
        "dense.tflite",
        "model.keras",
        "packed.tflite",
        "times.json",
        "times.png",
    ]


def test_errors_are_one_line_and_not_a_traceback(tmp_path):
    pruned(keras).save(tmp_path / "model.keras")

    refused = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/int8.tflite",
        "--quantize=int8",
    )

    assert refused.returncode == 1
    assert "`representative_data`" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    assert os.listdir(tmp_path) == ["model.keras"]


def test_flags_that_a_tflite_file_has_no_use_for(tmp_path):
    """In one process: every one is refused by its name."""
    script = """
import sys
from absl import flags
from tfmot_sapp.cli import export
export.define_flags()
for given in sys.argv[1:]:
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["", "--model=m.tflite", "--output=p.tflite", given])
    try:
        export._export(None)
    except ValueError as error:
        print(str(error).split()[0])
"""
    given = ["--quantize=int8", "--nopack", "--tune", "--batch_size=1", "--xla"]
    done = subprocess.run(
        [sys.executable, "-c", script, *given, "--output=folder/"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.stdout.split() == [
        "`quantize`",
        "`pack`",
        "`tune`",
        "`batch_size`",
        "`xla`",
        "`output`",
    ], done.stderr
