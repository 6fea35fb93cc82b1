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
"""Block regularizers are saved with models, and need no Keras of their own."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tfmot_sapp as sapp

REGULARIZERS = [
    sapp.GroupLasso(0.1, (4, 4)),
    sapp.GroupPower(0.2, (4, 4), power=0.5),
    sapp.GroupLog(0.3, (2, 4)),
]

LOAD = """
    import importlib, sys
    import numpy as np
    import tfmot_sapp
    keras = importlib.import_module({keras!r})
    model = keras.models.load_model({path!r})
    other = "tf_keras" if {keras!r} == "keras" else "keras"
    assert other not in sys.modules, other
    print([repr(layer.kernel_regularizer) for layer in model.layers])
    x = np.ones((4, 8), np.float32)
    print(float(model.evaluate(x, x, verbose=0)))
"""


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_models_load_in_a_new_process(
    keras, ending, tmp_path, fresh_environment
):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            *(
                keras.layers.Dense(8, kernel_regularizer=r)
                for r in REGULARIZERS
            ),
        ]
    )
    model.compile("sgd", keras.losses.MeanSquaredError())
    x = np.ones((4, 8), np.float32)
    expected = float(model.evaluate(x, x, verbose=0))
    path = str(tmp_path / f"model.{ending}")
    if keras.__name__ == "keras" and ending == "h5":
        pytest.skip("Keras 3 warns of its own format")
    model.save(path, **({"save_format": "h5"} if ending == "h5" else {}))
    program = LOAD.format(keras=keras.__name__, path=path)

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=fresh_environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    printed, loss = done.stdout.splitlines()[-2:]
    assert printed == repr([repr(r) for r in REGULARIZERS])
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sapp.GroupLasso("1", (4, 4)),
        lambda: sapp.GroupLasso(-1.0, (4, 4)),
        lambda: sapp.GroupLasso(1.0, {"a": (4, 4)}),
        lambda: sapp.GroupLasso(1.0, (4, 0)),
        lambda: sapp.GroupPower(1.0, (4, 4), power=0),
        lambda: sapp.GroupPower(1.0, (4, 4), power=float("nan")),
    ],
)
def test_bad_arguments_are_named(make):
    with pytest.raises((TypeError, ValueError), match="`.*Received"):
        make()


PRUNE = """
    import sys
    import tfmot_sapp as sapp
    import tf_keras
    model = tf_keras.Sequential(
        [tf_keras.Input((8,)), tf_keras.layers.Dense(8)])
    model = sapp.prune_blocks(
        model, sapp.ConstantSparsity(0.5, 0), (4, 4),
        pruning_policy=sapp.MinimumBlocks(1))
    sapp.strip_pruning(model)
    print("keras" in sys.modules)
"""


def test_tf_keras_models_need_no_keras_3(fresh_environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRUNE)],
        env=fresh_environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "False\n"
