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
"""Saved models load in a new process with nothing but `import tfmot_sapp`."""

import importlib
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

import tfmot_sapp as sapp

# Each line in a process of its own, with which Kerases load after an import.
# TensorFlow imports Keras 3 itself.
ORDERS = (
    (("import tfmot_sapp, keras", "keras"), ("import tf_keras", "tf_keras")),
    (("import tfmot_sapp, tf_keras", "tf_keras"), ("import keras", "keras")),
    (("import keras, tf_keras, tfmot_sapp", "keras", "tf_keras"),),
)
# Each file in a fork of its own: what one needs, another one may have loaded.
LOAD = """
import importlib, json, os, sys

def load(keras, path):
    import numpy as np
    keras = importlib.import_module(keras)
    model = keras.models.load_model(path, compile=False)
    x = np.ones((2, 32), np.float32)
    np.save(f"{path}.npy", np.asarray(model(x)))

folder, order, files = sys.argv[1:]
for imports, *names in json.loads(order):
    exec(imports)
    for keras in names:
        for file in json.loads(files):
            process = os.fork()
            if process == 0:
                load(keras, os.path.join(folder, keras, file))
                os._exit(0)
            assert os.waitpid(process, 0)[1] == 0, (imports, keras, file)
"""


def made(keras, kind):
    model = keras.Sequential(
        [
            keras.Input((32,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(32),
        ]
    )
    kernel = np.kron(np.eye(4), np.ones((8, 8))) / 8
    model.layers[0].set_weights([kernel, np.zeros(32)])
    if kind == "packed":
        return sapp.pack_blocks(model)
    wrapped = sapp.prune_blocks(
        model,
        sapp.ACDCSchedule(0.5, end_step=10),
        (8, 8),
        scorer=sapp.Magnitude(),
        allocation=sapp.BalancedAllocation(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    return sapp.strip_pruning(wrapped) if kind == "stripped" else wrapped


@pytest.mark.parametrize("order", range(len(ORDERS)))
def test_models_load(order, tmp_path):
    kinds = ["wrapped", "packed"]
    suffixes = ["keras"]
    if order == 0:
        # Of plain layers, and of formats, the order of imports changes nothing.
        kinds.append("stripped")
        suffixes.append("h5")
    files = [f"{kind}.{suffix}" for kind in kinds for suffix in suffixes]
    models = {
        (name, file): made(importlib.import_module(name), file.split(".")[0])
        for name in ("keras", "tf_keras")
        for file in files
    }
    with warnings.catch_warnings():
        # tf_keras calls HDF5 files legacy.
        warnings.simplefilter("ignore")
        for (name, file), model in models.items():
            (tmp_path / name).mkdir(exist_ok=True)
            model.save(tmp_path / name / file)
    arguments = [json.dumps(each) for each in (ORDERS[order], files)]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path, *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for (name, file), model in models.items():
        np.testing.assert_allclose(
            np.load(tmp_path / name / f"{file}.npy"),
            np.asarray(model(np.ones((2, 32), np.float32))),
            rtol=1e-5,
            atol=1e-6,
            err_msg=f"{name}, {file}",
        )
