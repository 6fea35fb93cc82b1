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
"""TF-MOT's own objects beside ours: schedules, policies, models, quantizers."""

import functools
import importlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.training.keep_zeros import KeepZeros

BLOCK = (4, 4)
SPARSITY = 0.75


@pytest.fixture(scope="module")
def tfmot():
    import tensorflow_model_optimization

    return tensorflow_model_optimization


def make_model(keras):
    return keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(8),
        ]
    )


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 16)).astype(np.float32)
    return x, rng.normal(size=(24, 8)).astype(np.float32)


# Tracing costs more than the steps, but for layers that are as slow as those of
# its quantization.
def fit(model, *callbacks, epochs=3, eager=True):
    x, y = make_data()
    model.compile("adam", "mse", run_eagerly=eager)
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


@functools.cache
def trained(keras):
    model = sapp.prune_blocks(
        make_model(keras),
        sapp.SequentialAttentionSchedule(SPARSITY, 8),
        BLOCK,
        pruning_policy=sapp.MinimumBlocks(8),
    )
    return fit(model, sapp.UpdatePruningStep())


def make_stripped(keras):
    return sapp.strip_pruning(trained(keras))


def zero_blocks(kernel):
    kernel = np.asarray(kernel)
    rows, columns = kernel.shape[0] // 4, kernel.shape[1] // 4
    blocks = kernel.reshape(rows, 4, columns, 4)
    return ~np.any(blocks != 0, axis=(1, 3))


def kernels(model):
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


def test_its_schedules_are_the_same_classes(tfmot):
    theirs = tfmot.sparsity.keras

    assert sapp.PolynomialDecay is theirs.PolynomialDecay
    assert sapp.ConstantSparsity is theirs.ConstantSparsity
    assert issubclass(sapp.SequentialAttentionSchedule, theirs.PruningSchedule)


def test_its_schedules_drive_ours(tfmot, keras):
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, SPARSITY, 0, 8)
    model = sapp.prune_blocks(
        make_model(keras),
        schedule,
        BLOCK,
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(8),
    )

    fit(model, sapp.UpdatePruningStep())

    for row in sapp.report(model).pruned:
        assert row.kept == kept_blocks(row.blocks, SPARSITY)


def test_our_schedules_drive_its_wrapper(tfmot):
    theirs = tfmot.sparsity.keras
    schedule = sapp.SequentialAttentionSchedule(SPARSITY, 8)
    model = theirs.prune_low_magnitude(make_model(tf_keras), schedule)

    fit(model, theirs.UpdatePruningStep())

    for kernel in kernels(theirs.strip_pruning(model)):
        assert np.mean(np.asarray(kernel) == 0) == SPARSITY


def test_a_model_that_it_pruned_is_packed_and_exported(tfmot, tmp_path):
    theirs = tfmot.sparsity.keras
    schedule = theirs.ConstantSparsity(SPARSITY, 0, frequency=1)
    model = theirs.prune_low_magnitude(
        make_model(tf_keras), schedule, block_size=BLOCK
    )
    model = theirs.strip_pruning(fit(model, theirs.UpdatePruningStep()))
    x, _ = make_data()

    packed = sapp.pack_blocks(model)
    sapp.export_tflite(packed, tmp_path / "model.tflite")

    np.testing.assert_allclose(
        packed.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )
    assert (tmp_path / "model.tflite").exists()


def test_its_policy_for_xnnpack_decides(tfmot):
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((16, 16, 3)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(8, 3, strides=2, padding="valid", name="stem"),
            layers.ReLU(),
            layers.Conv2D(32, 1, activation="relu", name="wide"),
            layers.Conv2D(32, 1, name="narrow"),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Flatten(),
            layers.Dense(32, name="head"),
        ]
    )
    policy = tfmot.sparsity.keras.PruneForLatencyOnXNNPack()

    report = sapp.report(
        sapp.prune_blocks(
            model,
            sapp.SequentialAttentionSchedule(SPARSITY, 20),
            BLOCK,
            pruning_policy=policy,
        )
    )

    assert [row.name for row in report.pruned] == ["wide", "narrow"]
    for name in ("stem", "head"):
        assert report.skipped[name] == (
            "not allowed by PruneForLatencyOnXNNPack"
        )


def test_its_policy_for_xnnpack_refuses_other_models(tfmot):
    with pytest.raises(ValueError):
        sapp.prune_blocks(
            make_model(tf_keras),
            sapp.SequentialAttentionSchedule(SPARSITY, 20),
            BLOCK,
            pruning_policy=tfmot.sparsity.keras.PruneForLatencyOnXNNPack(),
        )


def test_its_layers_say_what_to_prune(tfmot):
    class Bilinear(tf_keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):
        def build(self, input_shape):
            self.matrix = self.add_weight(
                name="matrix", shape=(input_shape[-1], 16)
            )

        def call(self, inputs):
            return tf.matmul(inputs, self.matrix)

        def get_prunable_weights(self):
            return [self.matrix]

    model = tf_keras.Sequential([tf_keras.Input((16,)), Bilinear()])

    report = sapp.report(
        sapp.prune_blocks(
            model,
            sapp.SequentialAttentionSchedule(SPARSITY, 20),
            BLOCK,
            pruning_policy=sapp.MinimumBlocks(8),
        )
    )

    assert [row.blocks for row in report.pruned] == [16]


def test_zeros_survive_its_quantization_aware_training(tfmot):
    scheme = importlib.import_module(
        "tensorflow_model_optimization.python.core.quantization.keras."
        "collab_opts.prune_preserve.default_8bit_prune_preserve_quantize_scheme"
    )
    stripped = make_stripped(tf_keras)
    quantization = tfmot.quantization.keras

    annotated = quantization.quantize_annotate_model(stripped)
    quantized = quantization.quantize_apply(
        annotated, scheme.Default8BitPrunePreserveQuantizeScheme()
    )
    before = [w.numpy() for w in quantized.trainable_weights]
    fit(quantized, epochs=2, eager=False)

    trained = [
        weight
        for weight in quantized.trainable_weights
        if len(weight.shape) == 2
    ]
    assert len(trained) == 3
    for mine, theirs in zip(kernels(stripped), trained):
        np.testing.assert_array_equal(zero_blocks(mine), zero_blocks(theirs))
        assert zero_blocks(theirs).mean() >= SPARSITY
    assert any(
        np.any(old != new.numpy())
        for old, new in zip(before, quantized.trainable_weights)
    )


def test_zeros_survive_its_plain_quantization_aware_training(tfmot):
    stripped = make_stripped(tf_keras)
    before = [zero_blocks(kernel) for kernel in kernels(stripped)]
    x, _ = make_data()

    quantized = tfmot.quantization.keras.quantize_model(stripped)
    at_once = [w.numpy() for w in quantized.trainable_weights]
    fit(quantized, KeepZeros(), eager=False)

    trained = [w for w in quantized.trainable_weights if len(w.shape) == 2]
    assert len(trained) == len(before) == 3
    for mask, weight in zip(before, trained):
        np.testing.assert_array_equal(zero_blocks(weight), mask)
        assert mask.mean() >= SPARSITY
    for old, new in zip(at_once, quantized.trainable_weights):
        assert np.any(old != new.numpy())
    assert np.all(np.isfinite(quantized.predict(x, verbose=0)))


def test_zeros_survive_fine_tuning(keras):
    stripped = make_stripped(keras)
    before = [np.array(kernel) != 0 for kernel in kernels(stripped)]
    plain = keras.models.clone_model(stripped)
    plain.set_weights(stripped.get_weights())

    fit(plain)
    fit(stripped, KeepZeros())

    for nonzero, kernel, other in zip(
        before, kernels(stripped), kernels(plain)
    ):
        np.testing.assert_array_equal(np.array(kernel) != 0, nonzero)
        # Without the callback they are filled.
        assert np.any(np.array(other)[~nonzero] != 0)


def test_zeros_are_kept_of_plain_sparse_models_only(keras):
    dense = make_model(keras)
    wrapped = sapp.prune_blocks(
        make_model(keras),
        sapp.SequentialAttentionSchedule(SPARSITY, 20),
        BLOCK,
        pruning_policy=sapp.MinimumBlocks(8),
    )

    with pytest.raises(ValueError, match="without any.*strip_pruning"):
        fit(dense, KeepZeros())
    with pytest.raises(ValueError, match="UpdatePruningStep"):
        fit(wrapped, KeepZeros())


@pytest.mark.filterwarnings("ignore:Layer InputLayer")
def test_zeros_survive_the_quantization_of_keras_3():
    import keras

    stripped = make_stripped(keras)
    before = [zero_blocks(kernel.numpy()) for kernel in kernels(stripped)]

    stripped.quantize("int8")

    for mask, layer in zip(before, stripped.layers):
        assert layer.quantization_mode == "int8"
        values = layer._kernel.numpy()
        assert values.dtype == np.int8
        assert mask.mean() >= SPARSITY
        # Rounding may add zeros; it takes none away.
        assert np.all(zero_blocks(values)[mask])
        assert not np.all(zero_blocks(values)[~mask])


@pytest.mark.filterwarnings("ignore:Layer InputLayer")
def test_keras_3_does_not_quantize_a_wrapped_model():
    import keras

    model = sapp.prune_blocks(
        make_model(keras),
        sapp.SequentialAttentionSchedule(SPARSITY, 20),
        BLOCK,
        pruning_policy=sapp.MinimumBlocks(8),
    )
    before = model.get_weights()

    with pytest.raises(ValueError, match="strip_pruning"):
        model.quantize("int8")

    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
