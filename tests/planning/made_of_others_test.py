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
"""Plans for layers that are made of others, that loop, and that look up."""

import numpy as np
import pytest
from transformer_models import LENGTH, WIDTH, transformer

import tfmot_sapp as sapp
from tfmot_sapp import LatencyBudget
from tfmot_sapp.compiler.choose.planning import plan_packed
from tfmot_sapp.compiler.graph import Packable
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.compiler.readers.subgraph import read_subgraph
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.planning.layers import find_layers
from tfmot_sapp.planning.moments import input_moments
from tfmot_sapp.planning.other_work import other_time
from tfmot_sapp.planning.taken_apart import taken_apart


def masked(model, plan):
    """Gives kernels values, with blocks gone as planned."""
    generator = np.random.default_rng(0)
    kernels = {each.name: each for each in find_layers(model, 1)}
    cut, scores = {}, {}
    for name, planned in kernels.items():
        block = plan["block_size"].get(planned.layer.name)
        if block is not None:
            grid = planned.kernel.grid(block)
            cut[name] = grid, planned.kernel.axes(grid)
            drawn = generator.random(grid.cells)
            scores[name] = np.moveaxis(drawn, cut[name][1], (-2, -1))
    alive = {name: np.ones(each.shape, bool) for name, each in scores.items()}
    masks = plan["allocation"].allocate(scores, alive, 1.0, 1.0)
    for name, planned in kernels.items():
        value = generator.normal(size=planned.kernel.shape) / 16
        if name in cut:
            grid, axes = cut[name]
            mask = np.moveaxis(masks[name], (-2, -1), axes)
            for axis, side in enumerate(grid.block):
                mask = np.repeat(mask, side, axis)
            value *= mask.reshape(planned.kernel.shape)
        planned.kernel.variable.assign(value.astype(np.float32))


@pytest.mark.parametrize("speedup", [1.5, 2.5])
def test_the_packer_of_files_agrees(keras, speedup):
    """It reads another graph than a plan does, whatever is inside of what."""
    model, target = transformer(keras), sapp.CpuTarget()

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=speedup))

    assert 0.99 * speedup <= plan.speedup <= 1.1 * speedup
    assert {"block_0", "block_1"} <= set(plan["block_size"])
    # A table makes nothing faster.
    assert "table" not in plan["block_size"]
    masked(model, plan)
    serving = serving_of(model, 1, None)
    content = convert(serving, None, None, "float32", None, target)
    choices = plan_packed(
        read_subgraph(read_tflite(content).main),
        1,
        target.costs(),
        target.operators(),
    )
    # What is no product counts in the plan alone.
    graph = read_graph(taken_apart(model, 1).model)
    other = other_time(graph, 1, target.costs())
    before, after = choices.dense_time + other, choices.packed_time + other
    assert before / 1000 == pytest.approx(plan.dense_ms, rel=0.1)
    # What tf_keras can't take apart is expected to stand alone, while the file
    # hands pieces from one layer of a block to the next.
    most = 1.2 if keras.__name__ == "keras" else 1.4
    assert 0.85 * plan.speedup < before / after < most * plan.speedup


def test_a_plan_for_what_is_made_of_others_prunes_it(keras):
    model = transformer(keras)
    plan = sapp.plan_pruning(model, LatencyBudget(speedup=2.0))
    schedule = sapp.OneShot(0.9, 1, 0, 0.0)
    pruned = sapp.prune_blocks(model, schedule, scorer=sapp.Magnitude(), **plan)
    pruned.compile("sgd", "mse", run_eagerly=True)

    pruned.fit(
        np.zeros((1, LENGTH), np.int32),
        np.zeros((1, LENGTH, 10)),
        epochs=2,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )

    targets = plan["allocation"].targets
    rows = {row.name: row for row in sapp.report(pruned).pruned}
    assert rows.keys() == {name for name, each in targets.items() if each}
    for name, row in rows.items():
        assert row.sparsity == pytest.approx(targets[name], abs=0.03)


def test_data_weigh_what_is_inside():
    """Against the mean squares of what layers are given, one by one."""
    import keras

    model = transformer(keras)
    tokens = np.random.default_rng(0).integers(0, 500, (16, LENGTH))

    found = input_moments(model, tokens)

    x = model.get_layer("table")(tokens)
    block = model.get_layer("block_0")
    normed = block.norm(x)
    attended = x + block.attention(normed, normed)
    expected = {
        **dict.fromkeys(("query", "key", "value"), normed),
        "up": attended,
        "down": block.up(attended),
    }
    for name, given in expected.items():
        path = f"attention.{name}_dense" if given is normed else name
        np.testing.assert_allclose(
            found[f"block_0/{path}"],
            np.square(given).reshape(-1, given.shape[-1]).mean(axis=0),
            rtol=1e-4,
        )
    # What attention mixes is seen by nobody outside of it.
    assert "block_0/attention.output_dense" not in found
    assert {"block_1/down", "classes"} <= found.keys()


def test_kernels_with_few_blocks_lose_fewer():
    """Layers inside of one share blocks, and not what they can do without."""
    import keras

    model = transformer(keras)

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=3.4))

    block = plan["block_size"]["block_0"]
    targets = plan["allocation"].targets
    kernels = {k.name: k.shape for k in find_layers(model, 1)}
    for name, sparsity in targets.items():
        inputs = -(-kernels[name].inputs // block[0])
        # Every output block keeps one input block.
        assert sparsity <= 1 - 1 / inputs
    assert len({*targets.values()}) > 1
    (layer,) = (each for each in plan.layers if each.name == "block_0")
    sizes = {name: kernels[name].parameters for name in layer.kernels}
    gone = sum(size * targets[name] for name, size in sizes.items())
    assert layer.sparsity == pytest.approx(gone / sum(sizes.values()))


def test_several_threads_get_groups_inside_of_layers():
    """Where channels can change places; an attention keeps its blocks."""
    import keras

    model, target = transformer(keras), sapp.CpuTarget(4)

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=1.4), target)

    allocation = plan["allocation"]
    assert isinstance(allocation, sapp.GroupedAllocation)
    blocks = [each for each in plan.layers if each.groups]
    assert blocks
    for layer in blocks:
        for name in layer.kernels:
            groups = 1 if "attention" in name else layer.groups
            assert allocation.targets[name] == pytest.approx(1 - 1 / groups)
    masked(model, plan)
    layer = blocks[0]
    kernel = np.array(model.get_layer(layer.name).up.kernel)
    # What the norm gives has an order; neighbours of it form a group.
    side = WIDTH // layer.groups
    for i in range(layer.groups):
        makes = kernel[i * side : (i + 1) * side].any(axis=0)
        assert makes.sum() == 4 * WIDTH // layer.groups


def test_what_is_not_planned_keeps_its_weights():
    """A layer is pruned as a whole, though a plan is for its products."""
    import keras

    layers = keras.layers

    class Positions(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.table = layers.Embedding(LENGTH, WIDTH)
            self.up = layers.Dense(WIDTH)

        def build(self, shape):
            self.table.build((None,))
            self.up.build(shape)

        def call(self, x):
            return self.up(x) + self.table(keras.ops.arange(LENGTH))

    inputs = keras.Input((LENGTH, 512))
    x = Positions(name="positions")(inputs)
    model = keras.Model(inputs, layers.Dense(WIDTH, name="last")(x))

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=2.0))

    assert "positions" in plan["block_size"]
    targets = plan["allocation"].targets
    assert targets["positions/table.embeddings"] == 0.0
    assert targets["positions/up"] > 0.3


def test_what_takes_no_time():
    import keras

    layers = keras.layers
    inputs = keras.Input((8,), dtype="int32")
    table = keras.Model(inputs, layers.Embedding(1000, 64, name="t")(inputs))
    with pytest.raises(ValueError, match="`model` must have a layer that can"):
        sapp.plan_pruning(table, LatencyBudget(speedup=2.0))
    plan = sapp.plan_pruning(table, sapp.SizeBudget(0.1))
    assert plan.packed_bytes <= 0.1e6 and plan.speedup == 1.0
    assert "nothing gets faster" in str(plan)
    tokens = np.zeros((16, 8), np.int32)
    weighed = sapp.plan_pruning(table, sapp.SizeBudget(0.1), data=tokens)
    assert weighed["block_size"] == plan["block_size"]
    with pytest.raises(ValueError, match="`data`"):
        sapp.plan_pruning(table, sapp.SizeBudget(0.1), data=tokens[:, :3])
    # No plan makes loops faster on several threads.
    inputs = keras.Input((20, 512))
    loop = keras.Model(inputs, layers.LSTM(512)(inputs))
    budget = LatencyBudget(speedup=2.0)
    assert sapp.plan_pruning(loop, budget).speedup >= 2.0
    with pytest.raises(ValueError, match="`budget` can't be met"):
        sapp.plan_pruning(loop, budget, sapp.CpuTarget(2))


def test_norms_and_attention_take_as_long_in_every_plan():
    """Against operations that are counted by hand."""
    import keras

    layers, costs = keras.layers, sapp.CpuTarget().costs()
    inputs = keras.Input((32, 64))

    def time_of(*made):
        graph = read_graph(keras.Model(inputs, list(made)))
        assert not any(isinstance(n, Packable) and n.core for n in graph.nodes)
        return other_time(graph, 2, costs)

    copied = 2 * 32 * 64 * 4 * costs.copied_byte
    norm = time_of(layers.LayerNormalization()(inputs))
    small = copied / 64
    assert norm == pytest.approx(8 * costs.operation + 4 * copied + 4 * small)
    scores = keras.ops.matmul(inputs, keras.ops.transpose(inputs, (0, 2, 1)))
    softmax = time_of(keras.ops.softmax(scores))
    # The transposition, the product with what it reads, and the softmax.
    square = 2 * 32 * 32 * 4 * costs.copied_byte
    expected = 5 * costs.operation + 3 * copied + square + 3 * square
    expected += 1.2 * 2 * 32 * 64 * 32 * costs.mac
    assert softmax == pytest.approx(expected)
    attention = layers.MultiHeadAttention(4, 16)(inputs, inputs)
    multiply_adds = 2 * 1.2 * 2 * 32 * 32 * 64
    expected = 7 * costs.operation + 5 * copied + 4 * (1 + 3) * square
    expected += multiply_adds * costs.mac
    assert time_of(attention) == pytest.approx(expected)
    # ReLUs and batch norms become part of what is beside them.
    assert time_of(layers.ReLU()(inputs)) == 0.0
    # Threads gain nothing in what is so short.
    several = sapp.CpuTarget(4).costs()
    graph = read_graph(keras.Model(inputs, layers.LayerNormalization()(inputs)))
    assert other_time(graph, 2, several) > norm
