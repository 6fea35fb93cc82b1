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
"""What `prune_post_training` refuses, and what it says then."""

import numpy as np
import pytest
from trained_models import ANY, normal, pruned

import tfmot_sapp as sapp


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.5}, "`sparsity`"),
        ({"sparsity": None}, "`sparsity`.*unless `allocation`"),
        ({"sparsity": {"a": -1}}, "sparsity"),
        ({"data": np.zeros((0, 6), np.float32)}, "at least one sample"),
        ({"data": np.zeros((3, 5), np.float32)}, "samples of shape"),
        ({"data": [np.zeros(6, np.float32)]}, "one sample.*batch the dataset"),
        ({"data": np.full((3, 6), np.nan, np.float32)}, "finite"),
        ({"block_size": (100, 100), "min_blocks": 2}, "MinimumBlocks"),
    ],
)
def test_what_is_refused(keras, arguments, message):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    given = {"data": normal(4, 6), "sparsity": 0.5, "block_size": (2, 2)}
    given.update(arguments)
    policy = sapp.MinimumBlocks(given.pop("min_blocks", 1))

    with pytest.raises(ValueError, match=message):
        sapp.prune_post_training(
            model, pruning_policy=policy, verbose=False, **given
        )


def test_wrong_types_are_refused(keras):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])

    with pytest.raises(TypeError, match="`model` must be"):
        sapp.prune_post_training("model", normal(4, 6), 0.5)
    with pytest.raises(TypeError, match="`data` must be"):
        pruned(model, 3)
    with pytest.raises(TypeError, match="`distill` must be"):
        pruned(model, normal(4, 6), distill=100)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("allocation", 3),
        ("pruning_policy", "all"),
        ("distill", 100),
        ("logits", 1),
        ("batch_size", 0),
        ("rows", 2.5),
        ("verbose", "no"),
        ("scorer", None),
    ],
)
def test_a_wrong_option_is_named(keras, name, wrong):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])

    with pytest.raises(
        (TypeError, ValueError), match=f"`{name}` must.*Received: {name}="
    ):
        sapp.prune_post_training(
            model, normal(4, 6), 0.5, (2, 2), **{name: wrong}
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block_size": {"typo": (2, 2)}}, "`block_size` must name layers"),
        ({"sparsity": {"typo": 0.5}}, "`sparsity` must name layers"),
        (
            {
                "sparsity": None,
                "allocation": sapp.UniformAllocation({"typo": 0.5}),
            },
            "`targets` must name layers",
        ),
        (
            {"allocation": sapp.UniformAllocation({"typo": 0.5})},
            "`targets` must name layers",
        ),
    ],
)
def test_a_name_of_no_layer_is_refused(keras, arguments, message):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])

    with pytest.raises(ValueError, match=f"{message}.*Received: 'typo'"):
        pruned(model, normal(4, 6), **arguments)


def test_a_wrapped_model_is_refused(keras):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    schedule = sapp.OneShot(0.5, end_step=4)
    wrapped = sapp.prune_blocks(model, schedule, (2, 2), pruning_policy=ANY)

    with pytest.raises(ValueError, match="`model` is being pruned already"):
        pruned(wrapped, normal(4, 6))
