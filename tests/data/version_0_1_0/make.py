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
"""Writes the files of this folder. Run with version 0.1.0 installed.

    pip install tfmot_sapp==0.1.0
    python make.py

Each file is a model, or the weights of one, that version 0.1.0 wrote. The
`.npz` of the same name holds what version 0.1.0 computed with it: inputs `x`,
outputs `y`, how many `zeros` each weight has, and what is `kept of` each pruned
kernel: its mask, of a packed model the number of blocks. Later versions must
load them all, says `files_of_0_1_0_test.py`.
"""

import gzip
import importlib
import pathlib
import zipfile

import numpy as np

import tfmot_sapp as sapp

FOLDER = pathlib.Path(__file__).resolve().parent
STEPS, PER_EPOCH, ROWS = 24, 2, 8
EPOCHS = STEPS // PER_EPOCH


def mlp(keras, regularizer=None):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,), name="x"),
            layers.Dense(8, "tanh", name="hidden"),
            layers.Dense(6, kernel_regularizer=regularizer, name="out"),
        ]
    )


def many_layers(keras):
    """Kernels of several ranks and paths, a nested model, a shared layer."""
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((5, 6)), layers.Dense(6, name="inside")], name="inner"
    )
    shared = layers.Dense(6, name="shared")
    inputs = keras.Input((6, 6), name="x")
    x = layers.Conv1D(6, 2, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = shared(shared(inner(x)))
    x = layers.LSTM(4, name="lstm")(x)
    return keras.Model(inputs, layers.Dense(6, name="out")(x))


def words(keras):
    layers = keras.layers
    inputs = keras.Input((4,), dtype="int32", name="x")
    x = layers.Embedding(12, 6, name="table")(inputs)
    x = layers.EinsumDense("abc,cde->abde", (4, 2, 3), name="einsum")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(6, name="out")(x))


def attention_schedule():
    return sapp.SequentialAttentionSchedule(0.75, STEPS, cycles=1)


def cosine(keras):
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.02, STEPS)
    )


# What is wrapped how, and the epochs after which training stops.
WRAPPED = {
    "stopped_in_the_dense_phase": {
        "pruning_schedule": attention_schedule(),
        "epochs": 5,
    },
    "attention_times_magnitude": {
        "model": lambda keras: mlp(keras, sapp.GroupLasso(1e-3, (2, 2))),
        "pruning_schedule": sapp.PolynomialDecay(0.0, 0.5, 2, 20, frequency=2),
        "scorer": sapp.SequentialAttention(
            per_output=True, times=sapp.Magnitude(order=float("inf"))
        ),
        "epochs": 6,
    },
    "diff_prune": {
        "model": lambda keras: mlp(keras, sapp.GroupPower(1e-3, (2, 2), 0.5)),
        "pruning_schedule": sapp.ConstantSparsity(0.5, 3, frequency=2),
        "scorer": sapp.DiffPrune("sigmoid", stochastic=True),
    },
    "diff_prune_moments": {
        "pruning_schedule": sapp.LearnedSparsity(STEPS, frequency=2),
        "optimizer": lambda keras: keras.optimizers.Adam(0.2),
        "scorer": sapp.DiffPrune(penalty=3.0),
    },
    "hard_concrete": {
        "model": lambda keras: mlp(keras, sapp.GroupLog(1e-3, (2, 2))),
        "pruning_schedule": sapp.LearnedSparsity(STEPS, frequency=2),
        "optimizer": lambda keras: keras.optimizers.Adam(0.2),
        "scorer": sapp.HardConcrete(penalty=2.0),
    },
    "power_propagation_after_a_reset": {
        "pruning_schedule": sapp.ACDCSchedule(0.5, STEPS, cycles=2),
        "scorer": sapp.PowerPropagation(3, True),
        "optimizer": cosine,
        "epochs": 9,
    },
    "movement_with_swaps": {
        "pruning_schedule": sapp.BlockSwaps(
            sapp.OneShot(0.5, STEPS), fraction=0.5, frequency=2
        ),
        "scorer": sapp.Movement(),
        "epochs": 8,
    },
    "connected_and_balanced": {
        "pruning_schedule": sapp.EarlyRamp(0.5, STEPS),
        "scorer": sapp.Magnitude(),
        "allocation": sapp.ConnectedAllocation(sapp.BalancedAllocation()),
    },
    "second_moment": {
        "pruning_schedule": sapp.EarlyRamp(0.5, STEPS),
        "scorer": sapp.SecondMoment(),
        "allocation": sapp.UniformAllocation(
            targets={"hid*": 0.75}, keep_readers=True
        ),
        "optimizer": lambda keras: keras.optimizers.Adam(0.01),
    },
    "many_layers": {
        "model": many_layers,
        "pruning_schedule": sapp.OneShot(0.5, STEPS),
        "scorer": sapp.Taylor(),
        "allocation": sapp.GlobalAllocation(0.1),
        "epochs": 8,
    },
    "words": {
        "model": words,
        "pruning_schedule": attention_schedule(),
        "epochs": 10,
    },
}
# Ends of epochs in each phase of `attention_schedule`.
PHASES = {5: "dense", 7: "sparsification", 9: "sparse"}


def data(model):
    rng = np.random.default_rng(0)
    shape = (ROWS, *model.input_shape[1:])
    if len(shape) == 2 and shape[1] == 4:
        x = rng.integers(0, 12, shape).astype(np.int32)
    else:
        x = rng.normal(size=shape).astype(np.float32)
    return x, rng.normal(size=(ROWS, 6)).astype(np.float32)


def wrap(keras, model=mlp, optimizer=None, **settings):
    keras.utils.set_random_seed(1)
    wrapped = sapp.prune_blocks(
        model(keras),
        block_size=(2, 2),
        pruning_policy=sapp.MinimumBlocks(4),
        **settings,
    )
    optimizer = optimizer or (lambda keras: keras.optimizers.SGD(0.05))
    # `.h5` files of Keras 3 can't name a loss by a string.
    wrapped.compile(optimizer(keras), keras.losses.MeanSquaredError())
    return wrapped


def fit(model, epochs=EPOCHS, callbacks=()):
    x, y = data(model)
    model.fit(
        x,
        y,
        batch_size=ROWS // PER_EPOCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep(), *callbacks],
    )
    return model


def write(model, name, endings=(".keras",)):
    """Writes a model, and what it computes and keeps."""
    kept = {
        f"kept of {row.name}": row.kept if row.mask is None else row.mask
        for row in sapp.report(model).pruned
    }
    zeros = [np.sum(weight == 0) for weight in model.get_weights()]
    x, _ = data(model)
    y = model.predict(x, verbose=0)
    for ending in endings:
        path = FOLDER / f"{name}{ending}"
        save = model.save_weights if "weights" in ending else model.save
        save(path)
        shrink(path)
    np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=y, zeros=zeros, **kept)


def shrink(path):
    """Compresses a file: a zip in its place, others as `.gz`."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in parts.items():
                file.writestr(name, content)
    else:
        compressed = gzip.compress(path.read_bytes(), mtime=0)
        pathlib.Path(f"{path}.gz").write_bytes(compressed)
        path.unlink()


def make_wrapped(keras, prefix):
    class WriteInEachPhase(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            name = PHASES.get(epoch + 1)
            if name is None:
                return
            schedule = self.model.layers[-1].pruning_schedule
            assert schedule.phase(PER_EPOCH * (epoch + 1)) == name
            endings = [".keras"]
            if name == "sparse":
                endings += [".weights.h5", ".h5"]
            write(self.model, f"{prefix}_in_the_{name}_phase", endings)

    model = wrap(keras, pruning_schedule=attention_schedule())
    fit(model, callbacks=[WriteInEachPhase()])
    for name, settings in WRAPPED.items():
        settings = dict(settings)
        epochs = settings.pop("epochs", EPOCHS)
        write(fit(wrap(keras, **settings), epochs), f"{prefix}_{name}")


def make_stripped(keras, prefix):
    for name, endings in (
        ("attention_times_magnitude", (".keras",)),
        ("connected_and_balanced", (".keras", ".h5")),
        ("many_layers", (".keras",)),
    ):
        settings = {**WRAPPED[name]}
        settings.pop("epochs", None)
        stripped = sapp.strip_pruning(fit(wrap(keras, **settings)))
        stripped.compile("sgd", keras.losses.MeanSquaredError())
        write(stripped, f"{prefix}_{name}_stripped", endings)


def sparse(keras, shape, units, taps=()):
    """Returns two layers with blocks of zeros."""
    rng = np.random.default_rng(0)
    inputs = x = keras.Input(shape, name="x")
    for name in ("a", "b"):
        layer = (
            keras.layers.Conv1D(units, taps, activation="relu", name=name)
            if taps
            else keras.layers.Dense(units, activation="relu", name=name)
        )
        x = layer(x)
    model = keras.Model(inputs, keras.layers.Dense(6, name="out")(x))
    for name in ("a", "b"):
        layer = model.get_layer(name)
        kernel = rng.normal(size=layer.kernel.shape)
        cells = [n // 8 for n in kernel.shape[-2:]]
        mask = rng.random(cells) < 0.4
        mask[np.arange(cells[1]) % cells[0], range(cells[1])] = True
        kernel *= np.kron(mask, np.ones((8, 8)))
        layer.set_weights([kernel, rng.normal(size=units)])
    return model


def make_packed(keras, prefix):
    """Writes a model packed in each way there is, whatever it costs."""
    from tfmot_sapp.export import choosing

    options, why = choosing.Chooser._options, choosing.Chooser.why
    models = {
        "list": ((6, 32), 32, 3),
        "sum": ((6, 32), 32, 1),
        "group": ((32,), 32, ()),
        "gather_matmul": ((32,), 32, ()),
        "dense": ((32,), 32, ()),
    }
    for lowering, arguments in models.items():

        def only(self, node, lowering=lowering):
            found = dict(options(self, node))
            wanted = {k: c for k, c in found.items() if k[0] == lowering}
            return list((wanted or found).items())

        choosing.Chooser._options = only
        choosing.Chooser.why = lambda self, node: "written for a test"
        packed = sapp.pack_blocks(sparse(keras, *arguments))
        choosing.Chooser._options, choosing.Chooser.why = options, why
        assert lowering in {row.lowering for row in sapp.report(packed).rows}
        write(packed, f"{prefix}_packed_as_{lowering}")


def main():
    assert sapp.__version__ == "0.1.0", sapp.__version__
    for name in ("keras", "tf_keras"):
        keras = importlib.import_module(name)
        for make in (make_wrapped, make_stripped, make_packed):
            keras.backend.clear_session()
            make(keras, name)


if __name__ == "__main__":
    main()
