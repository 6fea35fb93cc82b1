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
"""Wrap, fit, strip, pack and export with whatever versions are installed.

    python tests/smoke/pipeline.py

A minute's walk through the whole package in both Kerases, with the output of
every step compared with the one before it. `.ci/run` runs it on the oldest
versions that `pyproject.toml` allows.
"""

import importlib
import importlib.metadata
import os
import sys
import tempfile
from types import ModuleType

import numpy as np
import tensorflow as tf

import tfmot_sapp as sapp

PACKAGES = (
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "numpy",
    "lazy_loader",
    "matplotlib",
    "rich",
    "absl-py",
    "tensorboard",
)


def make_model(keras: ModuleType) -> object:
    """Returns a small classifier with a convolution, wrapped."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(4),
        ]
    )
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(target_sparsity=0.75, end_step=12),
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(16),
    )


def check(keras: ModuleType, folder: str) -> None:
    """Takes a model of one Keras through the package.

    Args:
        keras: `keras` or `tf_keras`.
        folder: Where files may be written.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 8, 8, 3)).astype(np.float32)
    y = rng.integers(0, 4, 32)
    model = make_model(keras)
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(
        x,
        y,
        batch_size=8,
        epochs=3,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    trained = model.predict(x, verbose=0)
    kept = [(row.name, row.kept, row.blocks) for row in report_rows(model)]
    assert all(kept * 4 == blocks for _, kept, blocks in kept), kept

    path = os.path.join(folder, "wrapped.keras")
    model.save(path)
    again = keras.models.load_model(path)
    same(again.predict(x, verbose=0), trained)

    stripped = sapp.strip_pruning(model)
    same(stripped.predict(x, verbose=0), trained)
    packed = sapp.pack_blocks(stripped)
    same(packed.predict(x, verbose=0), trained)
    assert len(str(sapp.report(packed)).splitlines()) > len(kept)

    saved = os.path.join(folder, "saved_model")
    sapp.export_saved_model(packed, saved)
    serve = tf.saved_model.load(saved).signatures["serving_default"]
    ((name, _),) = serve.structured_input_signature[1].items()
    (served,) = serve(**{name: tf.constant(x)}).values()
    same(served.numpy(), trained)
    files = {}
    for label, one in (("dense", stripped), ("pruned", packed)):
        files[label] = os.path.join(folder, f"{label}.tflite")
        sapp.export_tflite(one, files[label])
    assert "pruned" in str(sapp.benchmark(files, rounds=3))


def report_rows(model: object) -> list:
    """Returns the rows of the kernels that are pruned."""
    rows = sapp.report(model).pruned
    assert len(rows) == 2, rows
    return list(rows)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Compares outputs of two forms of one model."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def main() -> None:
    """Prints the versions, then checks both Kerases."""
    print(f"Python {sys.version.split()[0]}")
    for package in PACKAGES:
        print(package, importlib.metadata.version(package))
    for name in ("keras", "tf_keras"):
        with tempfile.TemporaryDirectory() as folder:
            check(importlib.import_module(name), folder)
        print(f"{name}: wrapped, trained, saved, stripped, packed, exported")


if __name__ == "__main__":
    main()
