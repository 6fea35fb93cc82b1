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

import ast
import importlib
import pathlib
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

# Each Keras in a fork of its own.
LOAD = """
    import importlib, os, sys
    import numpy as np
    import tensorflow
    import tfmot_sapp
    for name in "keras", "tf_keras":
        process = os.fork()
        if process == 0:
            keras = importlib.import_module(name)
            model = keras.models.load_model(f"{sys.argv[1]}/{name}.keras")
            print([repr(layer.kernel_regularizer) for layer in model.layers])
            x = np.ones((4, 8), np.float32)
            print(float(model.evaluate(x, x, verbose=0)))
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(process, 0)[1] == 0, name
"""


def made(name):
    keras = importlib.import_module(name)
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
    return model


# tf_keras saves callables, and says that they might be none of its own.
@pytest.mark.filterwarnings("ignore:The `keras.regularizers.serialize")
def test_models_load_in_a_new_process(tmp_path, fresh_environment):
    x = np.ones((4, 8), np.float32)
    expected = []
    for name in ("keras", "tf_keras"):
        model = made(name)
        expected.append(float(model.evaluate(x, x, verbose=0)))
        model.save(tmp_path / f"{name}.keras")

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOAD), tmp_path],
        env=fresh_environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    printed = done.stdout.splitlines()
    assert printed[::2] == 2 * [repr([repr(r) for r in REGULARIZERS])]
    losses = [float(loss) for loss in printed[1::2]]
    assert losses == pytest.approx(expected, rel=1e-5)


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


@pytest.mark.parametrize(
    "name",
    [
        "training.wrapper",
        "training.pruned_kernel",
        "training.pruning_group",
        "training.block_regularizers",
        "verbs.prune",
        "verbs.strip",
    ],
)
def test_what_both_keras_share_imports_none(name):
    path = pathlib.Path(sapp.__file__).parent / f"{name.replace('.', '/')}.py"
    imported = [
        module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    ]

    roots = {module.partition(".")[0] for module in imported}
    assert not roots & {"keras", "tf_keras"}
