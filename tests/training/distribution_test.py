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
"""Masks and logits are the same on every replica, and as on one."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import importlib, json, os, sys
name, kind, out = sys.argv[1:]
import numpy as np
import tensorflow as tf
if kind == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
elif kind == "workers":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
keras = importlib.import_module(name)
import tfmot_sapp as sapp
keras.utils.set_random_seed(1)
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 16)).astype("float32")
y = (x @ rng.normal(size=(16, 16))).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA)
data = data.with_options(options)
with strategy.scope():
    model = keras.Sequential([
        keras.Input((16,)), keras.layers.Dense(16, activation="tanh"),
        keras.layers.Dense(16)])
    model = sapp.prune_blocks(
        model, sapp.SequentialAttentionSchedule(0.75, 20, cycles=2), (4, 4),
        sapp.SequentialAttention(times=sapp.Movement()),
        pruning_policy=sapp.MinimumBlocks(4))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
pruning = sapp.UpdatePruningStep()
if (name, kind) != ("keras", "workers"):
    model.fit(data, epochs=6, verbose=0, callbacks=[pruning])
else:
    # `fit` of Keras 3 does not run with several workers, its layers do.
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)

    def step(batch):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(
                *batch, model(batch[0], training=True), training=True)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        model.optimizer.apply_gradients(zip(gradients, variables))

    train_step = tf.function(lambda batch: strategy.run(step, args=(batch,)))
    pruning.set_model(model)
    pruning.on_train_begin()
    for epoch in range(6):
        batches = strategy.experimental_distribute_dataset(data)
        for index, batch in enumerate(batches):
            train_step(batch)
            pruning.on_train_batch_end(index)
        pruning.on_epoch_end(epoch)
    pruning.on_train_end()
assert strategy.num_replicas_in_sync == (1 if kind == "one" else 2)
found = {}
for layer in model.layers:
    kernel = layer.pruned_kernels[0]
    for part, variable in {"mask": kernel.mask, **kernel.state}.items():
        variable = getattr(variable, "_value", variable)
        replicas = strategy.experimental_local_results(variable)
        for i, local in enumerate(replicas):
            found[f"{layer.name}/{part}/{i}"] = local.numpy().tolist()
json.dump(found, open(out, "w"))
"""


def start(keras, kind, out, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, keras, kind, str(out)],
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, out):
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors[-3000:]
    return {
        name: np.array(value)
        for name, value in json.loads(out.read_text()).items()
    }


def check_equal(found, reference):
    """Compares every replica's variables with those of one device."""
    for name, value in found.items():
        stem = name.rpartition("/")[0]
        np.testing.assert_array_equal(value, found[f"{stem}/0"])
        expected = reference[f"{stem}/0"]
        if "/mask/" in name:
            np.testing.assert_array_equal(value, expected)
            assert value.sum() == 4
        else:
            # Sums over two halves of a batch are rounded otherwise.
            np.testing.assert_allclose(value, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_two_replicas_and_one_give_the_same_masks(name, tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    processes = [start(name, "one", one), start(name, "mirrored", two)]

    reference = finish(processes[0], one)
    found = finish(processes[1], two)

    assert len(found) == 2 * len(reference)
    check_equal(found, reference)


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_two_workers_and_one_give_the_same_masks(name, tmp_path):
    workers = [f"localhost:{free_port()}" for _ in range(2)]
    one = tmp_path / "one.json"
    outs = [tmp_path / f"worker_{i}.json" for i in range(2)]
    processes = [
        start(
            name,
            "workers",
            out,
            {
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": workers},
                        "task": {"type": "worker", "index": index},
                    }
                )
            },
        )
        for index, out in enumerate(outs)
    ]
    reference = finish(start(name, "one", one), one)

    first, second = (finish(p, out) for p, out in zip(processes, outs))

    check_equal(first, reference)
    assert first.keys() == second.keys() == reference.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])
