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
"""What reports, pictures and summaries say."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp


@pytest.fixture(scope="module")
def wrapped():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            keras.layers.Conv2D(18, 3, name="stem"),
            keras.layers.DepthwiseConv2D(3, name="depthwise"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(18, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="dense"),
        ]
    )
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.8, 6),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(20),
    )


def fit(model, callbacks=()):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 10, 10, 3)).astype(np.float32)
    model.compile("adam", "mse", run_eagerly=True)
    callbacks = [sapp.UpdatePruningStep(), *callbacks]
    y = np.zeros((12, 10), np.float32)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=callbacks)


@pytest.fixture(scope="module")
def stripped(wrapped):
    fit(wrapped)
    return sapp.strip_pruning(wrapped)


def test_rows_hold_blocks_parameters_and_reasons(stripped):
    report = sapp.report(stripped)
    rows = {row.name: row for row in report.rows}

    assert rows["stem"].skipped == "5 blocks, fewer than 20"
    assert "depthwise" in rows["depthwise"].skipped
    assert rows["conv"].block == (3, 3, 4, 4)
    assert (rows["conv"].kept, rows["conv"].blocks) == (5, 25)
    kernel = stripped.get_layer("conv").kernel.numpy()
    mask = rows["conv"].mask[0, 0]
    kept = sum(
        kernel[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].size
        for i, j in zip(*np.nonzero(mask))
    )
    assert rows["conv"].kept_weights == kept
    assert np.count_nonzero(kernel) == kept


def test_totals_count_the_plain_model(wrapped, stripped):
    report = sapp.report(stripped)
    removed = sum(row.weights - row.kept_weights for row in report.rows)

    assert report.parameters == stripped.count_params()
    assert report.kept_parameters == report.parameters - removed
    assert sapp.report(wrapped).parameters == report.parameters


def test_it_prints_every_layer_and_renders_to_plain_values(stripped):
    report = sapp.report(stripped)
    text = str(report)

    for row in report.rows:
        assert row.name in text
    assert "5 / 25" in text
    rendered = json.loads(json.dumps(report.to_dict()))
    assert rendered["layers"][0]["skipped"] == "5 blocks, fewer than 20"
    assert rendered["total"]["parameters"] == stripped.count_params()


def test_a_model_from_a_file_is_reported_by_its_zeros(stripped, tmp_path):
    stripped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")

    rows = {row.name: row for row in sapp.report(loaded).rows}

    assert rows["conv"].blocks is None
    kernel = loaded.get_layer("conv").kernel.numpy()
    assert rows["conv"].sparsity == pytest.approx(np.mean(kernel == 0))


def test_masks_are_drawn_one_panel_a_kernel(wrapped, stripped, tmp_path):
    path = tmp_path / "masks.png"

    figure = sapp.plot_masks(stripped, path)

    assert len(figure.axes) == len(sapp.report(stripped).pruned) == 2
    assert path.read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == ["masks.png"]


def test_masks_of_a_plain_model_are_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])

    with pytest.raises(ValueError, match="prune_blocks"):
        sapp.plot_masks(model)


def test_schedules_are_drawn(tmp_path):
    schedule = sapp.SequentialAttentionSchedule(0.9, 100)

    figure = schedule.plot(tmp_path / "schedule.png")

    assert figure.axes[0].get_xlim() == (0, 100)
    assert (tmp_path / "schedule.png").exists()


def test_summaries_hold_sparsity_phase_attention_and_masks(wrapped, tmp_path):
    fit(wrapped, [sapp.PruningSummaries(tmp_path, update_freq=2)])

    tags = {}
    (name,) = os.listdir(tmp_path / "pruning")
    path = os.fspath(tmp_path / "pruning" / name)
    for record in tf.data.TFRecordDataset(path):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            tags.setdefault(value.tag, []).append(
                (event.step, tf.make_ndarray(value.tensor))
            )

    assert {
        "schedule/phase",
        "schedule/sparsity",
        "conv/sparsity",
        "conv/mask",
        "conv/logits",
        "conv/attention",
    } <= set(tags)
    step, sparsity = tags["conv/sparsity"][-1]
    assert step == 6
    assert sparsity == pytest.approx(0.8)


@pytest.mark.parametrize("update_freq", [0, -1, "batch", 1.5])
def test_summaries_refuse_bad_frequencies(update_freq, tmp_path):
    with pytest.raises(ValueError, match="`update_freq`"):
        sapp.PruningSummaries(tmp_path, update_freq=update_freq)
