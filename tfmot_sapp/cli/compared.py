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
"""Two models compared on data that neither was fitted to."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.sweep import Store
from tfmot_sapp.cli.arrays import read_arrays

_BATCH = 32


def load_arrays(
    data: str, labels: str | None
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Reads inputs and labels.

    Args:
        data: A `.npy` or an `.npz` file.
        labels: A `.npy` file, or the name of an array in `data`; `None` for
            no labels.

    Returns:
        The inputs by name, `""` for an array without one; and the labels.

    Raises:
        ValueError: If a file can't be read, or numbers of samples differ.
    """
    arrays = _read(data, "data")
    found = None
    if labels is not None:
        found = arrays.pop(labels, None)
        if found is None:
            found = _the_only(_read(labels, "labels"), labels)
        found = _class_numbers(found)
    if not arrays:
        raise ValueError(
            f"`data` must hold inputs. Received: {data!r} without any."
        )
    counts = {name: len(array) for name, array in arrays.items()}
    if found is not None:
        counts["labels"] = len(found)
    if len(set(counts.values())) > 1 or min(counts.values()) < 2:
        raise ValueError(
            "`data` must hold at least two samples, equally many for each "
            f"input, with a label each. Received: {counts}."
        )
    return arrays, found


def fitting_inputs(
    model: Any, arrays: Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    """Returns the arrays that a model takes.

    Args:
        model: The model.
        arrays: The inputs by name, as they were read.

    Raises:
        ValueError: If there are several, and the model has one input of another
            name.
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(arrays) == 1:
        return arrays
    name = str(inputs[0].name)
    if name in arrays:
        return {name: arrays[name]}
    raise ValueError(
        "`data` must hold one array for the model's one input, or one named "
        f"{name!r}; name an array of classes by --labels. Received: arrays "
        f"{sorted(arrays)}."
    )


def _the_only(arrays: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    if len(arrays) == 1:
        (found,) = arrays.values()
        return found
    raise ValueError(
        "`labels` must be a file of one array, or the name of an array in "
        f"--data. Received: {path!r} with arrays {sorted(arrays)}."
    )


def _class_numbers(labels: np.ndarray) -> np.ndarray:
    """Returns the number of each sample's class."""
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            "`labels` must be the number of each sample's class, from 0 on in "
            "the order of the model's outputs. Received: values of type "
            f"{labels.dtype}."
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()
        if not one_hot:
            raise ValueError(
                "`labels` must be one number a sample, or rows of zeros with "
                f"a one at its class. Received: an array of {labels.shape}."
            )
        return labels.argmax(axis=1)
    return np.ravel(labels)


def _read(path: str, name: str) -> dict[str, np.ndarray]:
    found = read_arrays(path, name)
    return {key: np.atleast_1d(value) for key, value in found.items()}


@dataclasses.dataclass(frozen=True)
class Compared:
    """Data in two parts.

    Attributes:
        calibration: What a model is pruned on, as it takes it.
        held_out: Inputs that are kept for the comparison, likewise.
        labels: Their classes; `None` if they are not known.
    """

    calibration: Any
    held_out: Any
    labels: np.ndarray | None

    @classmethod
    def split(
        cls,
        arrays: Mapping[str, np.ndarray],
        labels: np.ndarray | None,
        share: float,
    ) -> "Compared":
        """Divides samples at random.

        Args:
            arrays: The inputs by name.
            labels: The samples' classes, or `None`.
            share: Share of the samples that is held out.
        """
        count = len(next(iter(arrays.values())))
        order = np.random.default_rng(0).permutation(count)
        number = min(max(round(share * count), 1), count - 1)
        held, used = np.sort(order[:number]), np.sort(order[number:])

        def part(at: np.ndarray) -> Any:
            if len(arrays) == 1:
                (array,) = arrays.values()
                return array[at]
            return {name: array[at] for name, array in arrays.items()}

        known = None if labels is None else labels[held]
        return cls(part(used), part(held), known)


def compared(data: Compared, dense: Any, other: Any) -> list[list[str]]:
    """Returns rows of a table: a name and a value for each of two models.

    Args:
        data: The data.
        dense: The model as it was.
        other: What became of it.
    """
    outputs = [_outputs(model, data.held_out) for model in (dense, other)]
    count = len(outputs[0])
    if data.labels is not None:
        right = [
            np.mean(_classes(values, data.labels) == data.labels)
            for values in outputs
        ]
        name = f"accuracy on {count} held out"
        return [[name, *(f"{100 * share:.1f} %" for share in right)]]
    wanted, given = outputs
    if wanted.ndim == 2 and wanted.shape[1] > 1:
        same = np.mean(wanted.argmax(axis=1) == given.argmax(axis=1))
        name = f"agreement on {count} held out"
        return [[name, "100.0 %", f"{100 * same:.1f} %"]]
    gap = np.sqrt(np.mean(np.square(wanted - given)))
    scale = max(float(np.std(wanted)), 1e-12)
    name = f"rms change on {count} held out, of the deviation"
    return [[name, "0.000", f"{gap / scale:.3f}"]]


def _classes(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if outputs.ndim != 2:
        raise ValueError(
            "`labels` must be given for a model that puts out a value for each "
            f"class. Received: outputs of shape {outputs.shape}."
        )
    if outputs.shape[1] > 1:
        return outputs.argmax(axis=1)
    # One value: a probability, or else a logit.
    inside = outputs.min() >= 0 and outputs.max() <= 1
    return (outputs[:, 0] > (0.5 if inside else 0.0)).astype(labels.dtype)


def _outputs(model: Any, inputs: Any) -> np.ndarray:
    found = []
    with Store() as store:
        batches, structure = held_batches(model, inputs, _BATCH, store)
        for batch in batches:
            values = [value.get() for value in batch]
            outputs = model(
                tf.nest.pack_sequence_as(structure, values), training=False
            )
            found.append(np.asarray(tf.nest.flatten(outputs)[0], np.float32))
    return np.concatenate(found)
