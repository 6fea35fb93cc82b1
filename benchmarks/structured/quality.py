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
"""What pruned networks are worth without fine-tuning: `structured.py quality`.

Each row of the CSV is one network, criterion, way to set the weights and share:

- `copied`: surviving weights stay as they are;
- `refit`: outgoing weights and biases by least squares;
- `reconstruct`: incoming ones, too, by gradients, still without labels.

Rows that are there are not measured again, so a run that was stopped goes on,
and several can share the work by flags.
"""

import csv
import itertools
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

import tfmot_sapp as sapp
from benchmarks.structured import resnet20
from tfmot_sapp.base.tables import render
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.gram_criteria import least_squares_loss
from tfmot_sapp.structured.keep import kept_units
from tfmot_sapp.structured.reconstruct import Reconstruct
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.structured.statistics import Statistics
from tfmot_sapp.units.groups import find_groups

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder of `cifar10_resnet` and `tfds`.")
flags.DEFINE_multi_float("keep", [0.2, 0.3, 0.4, 0.5], "Shares to keep.")
flags.DEFINE_integer("calibration", 1280, "Images to calibrate on.")
flags.DEFINE_integer("steps", 500, "Steps of `reconstruct` for each group.")
flags.DEFINE_multi_enum(
    "network", ["mlp", "resnet20"], ["mlp", "resnet20"], "Networks."
)
flags.DEFINE_multi_enum(
    "weights",
    ["copied", "refit"],
    ["copied", "refit", "reconstruct"],
    "How weights are set.",
)

CRITERIA: dict[str, sapp.Criterion] = {
    "i-SpaSP": sapp.ISpaSP(),
    "top activation": sapp.TopActivation(),
    "magnitude": sapp.UnitMagnitude(),
    "greedy forward": sapp.GreedyForward(),
    "ThiNet": sapp.ThiNet(),
    "OSSCAR": sapp.OSSCAR(),
    "CoSaMP": sapp.CoSaMP(),
}
flags.DEFINE_multi_enum(
    "criterion", list(CRITERIA), list(CRITERIA), "Criteria to measure."
)
HEAD = [
    "network",
    "criterion",
    "weights",
    "keep",
    "images",
    "accuracy",
    "agreement",
    "residual",
]


def quality() -> None:
    """Prunes trained networks by every criterion, without fine-tuning."""
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    path = os.path.join(FLAGS.output_dir, "quality.csv")
    for network in FLAGS.network:
        model, data, test = {"mlp": _mlp, "resnet20": _resnet}[network]()
        wanted = model.predict(test[0], batch_size=250, verbose=0).argmax(-1)
        _append(path, [network, "dense", "", "1.0", "0"], model, test, wanted)
        groups = {group.name: group for group in find_groups(model).groups}
        if network == "resnet20":
            # The hidden filters: between the two convolutions of a block.
            groups = {k: g for k, g in groups.items() if k.endswith(".conv1")}
        batches = [data[i : i + 64] for i in range(0, len(data), 64)]
        statistics = collect(model, groups.values(), batches, True)
        for weights, keep, label in _cells():
            how = weights
            if weights == "reconstruct":
                how = f"reconstruct, {FLAGS.steps} steps"
            key = [network, label, how, f"{keep}", f"{len(data)}"]
            if key in [row[:5] for row in _rows(path)]:
                continue
            criterion = CRITERIA[label]
            kept = {
                name: criterion.select(
                    statistics[name], kept_units(group.units, keep)
                )
                for name, group in groups.items()
            }
            if weights == "copied":
                smaller = shrink(model, groups, kept)
            else:
                smaller = sapp.prune_structured(
                    model,
                    data,
                    dict.fromkeys(groups, keep),
                    criterion,
                    refit=weights == "refit" or Reconstruct(FLAGS.steps),
                    verbose=False,
                )
            lost = np.mean(
                [
                    _residual(statistics[name], units, weights == "copied")
                    for name, units in kept.items()
                ]
            )
            _append(path, key, smaller, test, wanted, lost)
        print(table(_rows(path), network))


def alone() -> None:
    """Halves one block of ResNet-20 at a time, all else being whole.

    What is lost by the best units at their best outgoing weights bounds what a
    choice of units can do. Where there are few enough, all subsets are tried.
    """
    model, data, test = _resnet()
    rows = [["dense", "", "", _accuracy(model, test)]]
    batches = [data[i : i + 64] for i in range(0, len(data), 64)]
    groups = [
        group
        for group in find_groups(model).groups
        if group.name.endswith(".conv1")
    ]
    statistics = collect(model, groups, batches, True)
    for group in groups:
        found, keep = statistics[group.name], group.units // 2
        best = ""
        if group.units <= 16:
            subsets = itertools.combinations(range(group.units), keep)
            best = f"{min(_residual(found, s, False) for s in subsets):.3f}"
        chosen = sapp.OSSCAR().select(found, keep)
        smaller = sapp.prune_structured(
            model,
            data,
            {group.name: 0.5},
            sapp.OSSCAR(),
            refit=True,
            verbose=False,
        )
        residual = f"{_residual(found, chosen, False):.3f}"
        rows.append([group.name, residual, best, _accuracy(smaller, test)])
        print(*rows[-1], flush=True)
    head = ["block", "residual", "of the best subset", "accuracy, %"]
    print(render(head, rows, numeric=(1, 2, 3)))
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    path = os.path.join(FLAGS.output_dir, "alone.csv")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def _accuracy(model: Any, test: tuple[np.ndarray, np.ndarray]) -> str:
    found = model.predict(test[0], batch_size=250, verbose=0).argmax(-1)
    return f"{100 * np.mean(found == test[1]):.2f}"


def _cells() -> Iterator[tuple[str, float, str]]:
    for weights in FLAGS.weights:
        for keep in sorted(set(FLAGS.keep), reverse=True):
            for label in dict.fromkeys(FLAGS.criterion):
                yield weights, keep, label


def _residual(
    statistics: Statistics, kept: np.ndarray, is_copied: bool
) -> float:
    """Returns what one layer alone loses of its output, as a share."""
    if is_copied:
        return statistics.residual(kept)
    inside = np.isin(np.arange(statistics.units), kept)
    whole = statistics.unit_gram.sum()
    return float(np.sqrt(least_squares_loss(statistics, inside) / whole))


def _rows(path: str) -> list[list[str]]:
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        return list(csv.reader(file))[1:]


def _append(
    path: str,
    key: list[str],
    model: Any,
    test: tuple[np.ndarray, np.ndarray],
    wanted: np.ndarray,
    residual: float | None = None,
) -> None:
    """Measures a network and adds its row, if it is not there yet."""
    if key in [row[:5] for row in _rows(path)]:
        return
    found = model.predict(test[0], batch_size=250, verbose=0).argmax(-1)
    shares = [np.mean(found == test[1]), np.mean(found == wanted)]
    row = [*key, *(f"{100 * share:.2f}" for share in shares)]
    row.append("" if residual is None else f"{residual:.3f}")
    is_new = not os.path.exists(path)
    with open(path, "a", newline="") as file:
        csv.writer(file).writerows([HEAD, row] if is_new else [row])
    print(*row, flush=True)


def table(rows: list[list[str]], network: str) -> str:
    """Returns the accuracy and residual of one network, by share."""
    of_network = [row for row in rows if row[0] == network]
    keeps = sorted({row[3] for row in of_network if row[1] != "dense"})
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for _, label, weights, keep, images, accuracy, _, residual in of_network:
        line = lines.setdefault((label, weights, images), {})
        line[keep] = f"{accuracy} ({residual})" if residual else accuracy
    body = [
        [*key, *(line.get(keep, line.get("1.0", "")) for keep in keeps)]
        for key, line in lines.items()
    ]
    head = ["criterion", "weights", "images", *keeps]
    return render(head, body, numeric=tuple(range(2, len(head))))


def _resnet() -> tuple[Any, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    folder = os.path.join(FLAGS.data_dir, "cifar10_resnet")
    model = resnet20.load(os.path.join(folder, "resnet20.npz"))
    name = "cifar10_train_first4000_lossless.npz"
    with np.load(os.path.join(folder, name)) as file:
        # Calibration must show what the network will see: the test images are
        # JPEGs of quality 75.
        images = [
            tf.io.decode_jpeg(tf.io.encode_jpeg(image, quality=75)).numpy()
            for image in file["x"][: FLAGS.calibration]
        ]
    with np.load(os.path.join(folder, "cifar10_jpegq75_test2000.npz")) as file:
        test = resnet20.normalised(file["x"]), file["y"]
    return model, resnet20.normalised(np.stack(images)), test


def _mlp() -> tuple[Any, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    import tensorflow_datasets as tfds

    def split(name: str) -> tuple[np.ndarray, np.ndarray]:
        data = tfds.load(
            "mnist",
            split=name,
            data_dir=os.path.join(FLAGS.data_dir, "tfds"),
            as_supervised=True,
        )
        images, labels = zip(*tfds.as_numpy(data))
        x = np.stack(images).reshape(len(images), -1)
        return x.astype(np.float32) / 255, np.array(labels)

    (x, y), test = split("train"), split("test")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(512, activation="relu", name="hidden_1"),
            keras.layers.Dense(256, activation="relu", name="hidden_2"),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(x, y, batch_size=128, epochs=5, verbose=0)
    return model, x[: FLAGS.calibration], test
