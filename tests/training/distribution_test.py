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
import socket

import numpy as np
import pytest

# Each kind in a fork of its own, since TensorFlow is set up once a process.
PROGRAM = """
import importlib, json, os, signal, sys
name, folder, *workers = sys.argv[1:]
forks = {}
for out in "one", "mirrored", "worker_0", "worker_1":
    process = os.fork()
    if process == 0:
        break
    forks[process] = out
else:
    while forks:
        process, status = os.wait()
        assert status == 0, forks[process]
        del forks[process]
    sys.exit()
# Ends a worker that waits for the other one in vain.
signal.alarm(600)
kind, _, index = out.partition("_")
if kind == "worker":
    os.environ["TF_CONFIG"] = json.dumps({
        "cluster": {"worker": workers},
        "task": {"type": "worker", "index": int(index)}})
import numpy as np
import tensorflow as tf
if kind == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
elif kind == "worker":
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
if (name, kind) != ("keras", "worker"):
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
with open(f"{folder}/{out}.json", "w") as file:
    json.dump(found, file)
"""


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


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_replicas_workers_and_one_device_give_the_same_masks(
    name, forks, tmp_path
):
    workers = [f"localhost:{free_port()}" for _ in range(2)]

    done = forks.run(PROGRAM, name, tmp_path, *workers)

    assert done.returncode == 0, done.stderr[-3000:]
    one, mirrored, first, second = (
        {
            key: np.array(value)
            for key, value in json.loads(path.read_text()).items()
        }
        for path in (
            tmp_path / f"{kind}.json"
            for kind in ("one", "mirrored", "worker_0", "worker_1")
        )
    )
    assert len(mirrored) == 2 * len(one)
    check_equal(mirrored, one)
    check_equal(first, one)
    assert first.keys() == second.keys() == one.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])
