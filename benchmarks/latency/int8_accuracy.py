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
"""Trained networks in 8 bits: accuracy and speed, packed beside dense.

```
python -m benchmarks.latency.int8_accuracy
python -m benchmarks.latency.int8_accuracy --dataset=fashion_mnist \
    --data_dir=...
```

A network is trained with 32x32 blocks pruned to 90 %, stripped, and written
four times: dense and packed, in float32 and in 8 bits, calibrated with training
images. Accuracy is that of the files on the test images. Rows are appended to
`int8_accuracy.csv`, and a run goes on where the last one stopped.
"""

import pathlib
import tempfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.base.tables import render
from tfmot_sapp.export.runtime import run

FLAGS = flags.FLAGS
COLUMNS = (
    "dataset",
    "network",
    "seed",
    "format",
    "dense_accuracy",
    "packed_accuracy",
    "dense_ms",
    "packed_ms",
    "speed_up",
    "kept",
)
KEY = COLUMNS[:4]
FORMATS = ("float32", "int8")
_BATCH = 64

Split = tuple[np.ndarray, np.ndarray]


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "output_dir", "benchmarks/latency/results", "Where to write."
    )
    flags.DEFINE_string(
        "dataset", "digits", "scikit-learn's digits, or an image set of TFDS."
    )
    flags.DEFINE_string("data_dir", None, "Directory of TFDS data sets.")
    flags.DEFINE_string(
        "model_dir", None, "Where trained networks are kept, and looked for."
    )
    flags.DEFINE_multi_enum(
        "network", ["mlp", "cnn"], ["mlp", "cnn"], "Networks."
    )
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.DEFINE_list("seeds", ["0"], "Seeds.")
    flags.DEFINE_integer("epochs", 0, "Epochs; by default 4, digits 30.")
    flags.DEFINE_integer("threads", 0, "Threads to train with; 0 for all.")
    flags.DEFINE_integer("images", 60_000, "Images to train on at most.")
    flags.DEFINE_integer("width", 1024, "Units of the MLP's hidden layers.")
    flags.DEFINE_integer("rounds", 40, "Rounds of turns.", 3)


def main(argv: list[str]) -> None:
    """Measures what is missing, then prints everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    path = pathlib.Path(FLAGS.output_dir) / "int8_accuracy.csv"
    done = {tuple(row[k] for k in KEY) for row in read_rows(path, COLUMNS)}
    for seed in FLAGS.seeds:
        for network in FLAGS.network:
            name = f"{network}-{FLAGS.width}" if network == "mlp" else network
            keys = [(FLAGS.dataset, name, seed, format) for format in FORMATS]
            if not done.issuperset(keys):
                for row in measure(network, int(seed), keys):
                    append_row(path, COLUMNS, row)
    print(table(read_rows(path, COLUMNS)))


def measure(
    network: str, seed: int, keys: list[tuple[str, ...]]
) -> list[dict[str, Any]]:
    """Trains a network and measures its four files.

    Args:
        network: "mlp" or "cnn".
        seed: Seed of weights and shuffling.
        keys: The first columns, for each format.

    Returns:
        A row for each format.
    """
    keras.utils.set_random_seed(seed)
    training, test = load(FLAGS.dataset)
    training = tuple(array[: FLAGS.images] for array in training)
    model = kept_or_trained("-".join(keys[0][:-1]), network, training)
    packed = sapp.pack_blocks(model)
    kept = sapp.report(model)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for key in keys:
            accuracies = {}
            files = {}
            for name, source in (("dense", model), ("packed", packed)):
                files[name] = pathlib.Path(scratch) / f"{name}.tflite"
                for batch in (_BATCH, 1):
                    sapp.export_tflite(
                        source,
                        files[name],
                        quantize=None if key[-1] == "float32" else key[-1],
                        representative_data=training[0][:512],
                        batch_size=batch,
                    )
                    if batch == _BATCH:
                        accuracies[name] = accuracy(files[name], test)
            with realtime_scheduling(FLAGS.realtime):
                dense, sparse = sapp.benchmark(
                    files, rounds=FLAGS.rounds
                ).timings
            values = (
                *key,
                f"{accuracies['dense']:.2f}",
                f"{accuracies['packed']:.2f}",
                f"{dense.median_ms:.5g}",
                f"{sparse.median_ms:.5g}",
                f"{sparse.speed_up:.3f}",
                f"{kept.kept_parameters}/{kept.parameters}",
            )
            rows.append(dict(zip(COLUMNS, values)))
    return rows


def accuracy(path: pathlib.Path, test: Split) -> float:
    """Returns a file's accuracy in percent, the batch being `_BATCH`."""
    content = path.read_bytes()
    # The last batch is filled up.
    count = -(-len(test[0]) // _BATCH) * _BATCH
    images = np.resize(test[0], (count, *test[0].shape[1:]))
    batches = [
        {"image": images[i : i + _BATCH]} for i in range(0, count, _BATCH)
    ]
    logits = [next(iter(out.values())) for out in run(content, batches)]
    found = np.concatenate(logits)[: len(test[1])].argmax(-1)
    return 100 * float(np.mean(found == test[1]))


def kept_or_trained(name: str, network: str, training: Split) -> Any:
    """Returns a trained network, the kept one if there is one."""
    if FLAGS.model_dir is None:
        return trained(network, training)
    path = pathlib.Path(FLAGS.model_dir) / f"{name}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    model = trained(network, training)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def trained(network: str, training: Split) -> Any:
    """Returns a network, trained and pruned, without wrappers."""
    shape = training[0].shape[1:]
    classes = int(training[1].max()) + 1
    model = (
        make_mlp(shape, classes)
        if network == "mlp"
        else make_cnn(shape, classes)
    )
    epochs = FLAGS.epochs or (30 if FLAGS.dataset == "digits" else 4)
    steps = epochs * -(-len(training[0]) // _BATCH)
    model = sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.9, end_step=int(0.8 * steps)),
        block_size=(32, 32),
        pruning_policy=sapp.MinimumBlocks(20),
    )
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(1e-3, steps)
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        *training,
        batch_size=_BATCH,
        epochs=epochs,
        verbose=2,
        callbacks=[sapp.UpdatePruningStep()],
    )
    return sapp.strip_pruning(model)


def make_mlp(shape: tuple[int, ...], classes: int) -> Any:
    """Returns a network of three wide layers."""
    layers = keras.layers
    x = inputs = layers.Input(shape, name="image")
    x = layers.Flatten()(x)
    for _ in range(3):
        x = layers.Dense(FLAGS.width, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def make_cnn(shape: tuple[int, ...], classes: int) -> Any:
    """Returns a residual network of 64 to 256 channels."""
    layers = keras.layers
    x = inputs = layers.Input(shape, name="image")
    for filters, stride in ((64, 2), (128, 2), (256, 1)):
        x = _convolution(x, filters, stride)
        x = layers.ReLU()(x)
    y = layers.ReLU()(_convolution(x, 256, 1))
    x = layers.ReLU()(layers.Add()([x, _convolution(y, 256, 1)]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def _convolution(x: Any, filters: int, stride: int) -> Any:
    x = keras.layers.Conv2D(
        filters, 3, strides=stride, padding="same", use_bias=False
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)


def load(name: str) -> tuple[Split, Split]:
    """Returns images from 0 to 1 with labels, to train and to test on."""
    if name == "digits":
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        x, y = load_digits(return_X_y=True)
        x_train, x_test, y_train, y_test = train_test_split(
            x.astype("float32").reshape(-1, 8, 8, 1) / 16,
            y,
            test_size=0.2,
            random_state=0,
            stratify=y,
        )
        return (x_train, y_train), (x_test, y_test)
    import tensorflow_datasets as tfds

    def split(part: str) -> Split:
        data = tfds.load(
            name, split=part, data_dir=FLAGS.data_dir, as_supervised=True
        )
        images, labels = zip(*tfds.as_numpy(data))
        return np.stack(images).astype("float32") / 255, np.array(labels)

    return split("train"), split("test")


def table(rows: list[dict[str, str]]) -> str:
    """Tabulates the rows, with what 8 bits keep of the speed-up."""
    lines = []
    for row in rows:
        in_float = [
            float(r["speed_up"])
            for r in rows
            if r["format"] == "float32"
            and all(r[k] == row[k] for k in KEY[:-1])
        ]
        share = float(row["speed_up"]) / in_float[0] if in_float else None
        lines.append(
            [
                *(row[k] for k in KEY),
                row["dense_accuracy"],
                row["packed_accuracy"],
                f"{float(row['speed_up']):.2f}x",
                f"{share:.2f}" if share else "",
            ]
        )
    head = [*KEY, "dense %", "packed %", "speed-up", "of float32's"]
    return render(head, lines, numeric=range(4, len(head)))


if __name__ == "__main__":
    define_flags()
    app.run(main)
