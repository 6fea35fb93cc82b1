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
"""Which layers are pruned, and in which blocks, is the user's choice."""

import pytest

import tfmot_sapp as sapp


def prune(model, block_size=(4, 4), pruning_policy=None):
    return sapp.prune_blocks(
        model,
        sapp.ConstantSparsity(0.75, 0),
        block_size=block_size,
        pruning_policy=pruning_policy or sapp.MinimumBlocks(4),
    )


def test_block_sizes_by_pattern_and_function(keras):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, name="wide_1"),
            keras.layers.Dense(16, name="other"),
        ]
    )

    by_name = prune(model, block_size={"wide*": (2, 8)})
    by_function = prune(model, block_size=lambda layer: (8, 2))

    assert [row.block for row in sapp.report(by_name).pruned] == [(2, 8)]
    assert sapp.report(by_name).skipped == {
        "other": "no block size given for it"
    }
    assert [row.block for row in sapp.report(by_function).pruned] == 2 * [
        (8, 2)
    ]


class OnlyConvolutions:
    """A policy of TF-MOT's protocol."""

    def allow_pruning(self, layer):
        return type(layer).__name__ == "Conv2D"

    def ensure_model_supports_pruning(self, model):
        if not model.built:
            raise ValueError("Unbuilt models are not supported currently.")


def test_a_policy_decides_which_layers_are_pruned(keras):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 8)),
            keras.layers.Conv2D(8, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, name="dense"),
        ]
    )

    report = sapp.report(prune(model, pruning_policy=OnlyConvolutions()))

    assert [row.name for row in report.pruned] == ["conv"]
    assert report.skipped == {"dense": "not allowed by OnlyConvolutions"}


def test_a_policy_may_refuse_a_model(keras):
    model = keras.Sequential([keras.layers.Dense(8)])

    with pytest.raises(ValueError, match="Unbuilt"):
        prune(model, pruning_policy=OnlyConvolutions())


def test_the_latency_friendly_block_size(keras):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 256)),
            keras.layers.Conv2D(1024, 1, name="wide"),
            keras.layers.Conv2D(128, 1, name="narrow"),
            keras.layers.Conv2D(64, 1, name="small"),
        ]
    )

    report = sapp.report(prune(model, block_size=sapp.latency_block_size))

    blocks = {row.name: row.block for row in report.pruned}
    assert blocks == {"wide": (1, 1, 32, 128), "narrow": (1, 1, 32, 16)}
    assert report.skipped == {"small": "no block size given for it"}
