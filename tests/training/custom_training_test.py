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
"""Models with a training step of their own: wrapped, trained, stripped."""

import warnings

import numpy as np
import pytest
from custom_training import make, outputs_of

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.walking import flatten_layers

X = np.random.default_rng(0).standard_normal((32, 16)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((32, 8)).astype(np.float32)
KINDS = ("Autoencoder", "Adversaries", "Distiller")


def prune(model):
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=3),
        block_size=(4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def fit(model, kind, keras):
    data = (X, Y) if kind == "Distiller" else (X,)
    # A few steps are done before they are traced.
    model.run_eagerly = True
    return model.fit(
        *data,
        batch_size=8,
        verbose=0,
        callbacks=[
            sapp.UpdatePruningStep(),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history


def sparsities(model):
    return {
        float(np.mean(layer.kernel.numpy() == 0))
        for layer in flatten_layers(model)
        if hasattr(layer, "kernel")
    }


LOAD = """
import sys
import numpy as np
import tfmot_sapp, {keras} as keras
folder = sys.argv[1]
sys.path.insert(0, "tests/fixtures")
from custom_training import define, outputs_of
define(keras)
for kind, parts in {parts!r}.items():
    for name in kind, kind + "_wrapped":
        model = keras.models.load_model(f"{{folder}}/{{name}}.keras")
        np.save(f"{{folder}}/{{name}}", outputs_of(model, parts))
"""


def test_they_come_through(keras, forks, tmp_path, assert_close):
    expected, parts = {}, {}
    for kind in KINDS:
        model, arguments, parts[kind] = make(keras, kind)
        model.compile(*arguments())
        wrapped = prune(model)
        # Only the first class leaves compiling to Keras.
        if kind != "Autoencoder":
            wrapped.compile(*arguments())
        history = fit(wrapped, kind, keras)
        assert np.isfinite(list(history.values())).all()
        stripped = sapp.strip_pruning(wrapped)
        assert type(stripped) is type(model)
        # A block that came back may have a unit that nothing has trained yet.
        assert all(0.5 <= found < 0.6 for found in sparsities(stripped))
        assert sparsities(model) == {0.0}
        expected[kind] = outputs_of(wrapped, parts[kind])
        assert_close(outputs_of(stripped, parts[kind]), expected[kind])
        with warnings.catch_warnings():
            # tf_keras: a model without a `call` has not been called.
            warnings.simplefilter("ignore")
            stripped.save(tmp_path / f"{kind}.keras")
            wrapped.save(tmp_path / f"{kind}_wrapped.keras")
    program = LOAD.format(keras=keras.__name__, parts=parts)
    done = forks.run(program, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for kind in KINDS:
        for name in (kind, f"{kind}_wrapped"):
            assert_close(np.load(tmp_path / f"{name}.npy"), expected[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_they_need_no_config(keras, kind, assert_close):
    """Keras's examples have none: then each attribute is copied."""
    model, arguments, parts = make(keras, kind)
    cls = type(model)
    del cls.get_config, cls.from_config
    expected = outputs_of(model, parts)
    wrapped = prune(model)
    assert type(wrapped) is cls
    assert len(sapp.report(wrapped).pruned) == (
        5 if kind == "Autoencoder" else 4
    )
    ours = set(map(id, model.weights))
    assert not ours & set(map(id, wrapped.weights))
    wrapped.compile(*arguments())
    fit(wrapped, kind, keras)
    assert min(sparsities(sapp.strip_pruning(wrapped))) >= 0.5
    # The original has not changed.
    np.testing.assert_array_equal(outputs_of(model, parts), expected)
    model.decode = lambda x: model.layers[0](x)
    with pytest.raises(ValueError, match="cannot be copied"):
        prune(model)
