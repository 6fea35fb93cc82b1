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

import subprocess
import sys
import warnings

import numpy as np
import pytest

import tfmot_sapp as sapp

ORDERS = (
    "import tfmot_sapp; import {keras}",
    "import {keras}; import tfmot_sapp",
    "import tfmot_sapp; import {other}; import {keras}",
)
# Each in a fork of its own: what one needs, another one may have loaded.
LOAD = """{imports}
import numpy as np, os, sys
for kind in {kinds!r}:
    process = os.fork()
    if process == 0:
        path = os.path.join(sys.argv[1], kind)
        model = {keras}.models.load_model(path, compile=False)
        x = np.ones((2, 32), np.float32)
        np.save(path + ".npy", np.asarray(model(x)))
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0, kind
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
def test_models_load(keras, order, tmp_path):
    kinds = ["wrapped", "packed"]
    if order == 0:
        # Plain layers: the order of imports does nothing.
        kinds.append("stripped")
    models = {kind: made(keras, kind) for kind in kinds}
    files = {f"{kind}.keras": model for kind, model in models.items()}
    if order == 0:
        files |= {f"{kind}.h5": model for kind, model in models.items()}
    with warnings.catch_warnings():
        # tf_keras calls HDF5 files legacy.
        warnings.simplefilter("ignore")
        for name, model in files.items():
            model.save(tmp_path / name)
    names = {"keras": keras.__name__, "other": "keras"}
    if keras.__name__ == "keras":
        names["other"] = "tf_keras"
    imports = ORDERS[order].format(**names)
    code = LOAD.format(imports=imports, kinds=list(files), **names)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in files.items():
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"),
            np.asarray(model(np.ones((2, 32), np.float32))),
            rtol=1e-5,
            atol=1e-6,
            err_msg=name,
        )
