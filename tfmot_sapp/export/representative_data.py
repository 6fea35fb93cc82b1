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
"""Inputs to calibrate and to compare with: given, or made at random.

Whatever form the data have, an array, a list of arrays, a dictionary, a
`tf.data.Dataset` or a generator, they come out as dictionaries of arrays by
input name, cut to the batch size of the export.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.export.serving import Serving
from tfmot_sapp.frameworks.private.layers import all_layers

# Stands in for an axis that the model leaves open, other than the batch.
OPEN_AXIS = 32


def random_inputs(
    serving: Serving, samples: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Makes inputs that a model accepts.

    Real inputs are normal, integers run over the vocabulary of the model's
    smallest embedding (over 0 and 1 if it has none).

    Args:
        serving: What the model takes.
        samples: Number of samples, ignored by inputs with a fixed batch.
        seed: Seed of the generator.

    Returns:
        Dictionary of arrays by input name.
    """
    generator = np.random.default_rng(seed)
    sizes = [
        layer.input_dim
        for layer in all_layers(serving.model)
        if isinstance(getattr(layer, "input_dim", None), int)
    ]
    top = min(sizes, default=2)
    made = {}
    for name, spec in serving.specs.items():
        values: np.ndarray
        batch, *rest = spec.shape
        shape = [batch or samples, *(n or OPEN_AXIS for n in rest)]
        if spec.dtype.is_floating:
            values = generator.standard_normal(shape)
        elif spec.dtype == tf.bool:
            values = generator.integers(0, 2, shape)
        elif spec.dtype.is_integer:
            values = generator.integers(0, top, shape)
        else:
            raise ValueError(
                "An input of `model` is of a type that no number stands for; "
                "leave it out of the exported model. Received: input "
                f"{name!r} of type {spec.dtype.name}."
            )
        made[name] = values.astype(spec.dtype.as_numpy_dtype)
    return made


def batches(
    data: Any, serving: Serving, batch_size: int, max_samples: int
) -> Iterator[dict[str, np.ndarray]]:
    """Cuts representative data in batches.

    Args:
        data: An array; a list of arrays, one per input; a dictionary by input
            name; or an iterable (`tf.data.Dataset`, generator) of batches of
            any of these. Of a tuple the first entry is taken, as Keras does
            with `(x, y)`.
        serving: What the model takes.
        batch_size: Samples in a batch; a rest that fills none is left out.
        max_samples: Stops after so many samples.

    Yields:
        Dictionaries of arrays by input name.

    Raises:
        TypeError: If `data` is none of these.
        ValueError: If its arrays don't fit the model's inputs, or do not
            fill one batch.
    """
    count = 0
    rest: dict[str, np.ndarray] | None = None
    for item in _items(data):
        arrays = _by_name(item, serving)
        if rest is not None:
            arrays = {k: np.concatenate([rest[k], arrays[k]]) for k in arrays}
        length = min(len(array) for array in arrays.values())
        for start in range(0, length - batch_size + 1, batch_size):
            if count and count + batch_size > max_samples:
                return
            count += batch_size
            yield {k: v[start : start + batch_size] for k, v in arrays.items()}
        rest = {k: v[length - length % batch_size :] for k, v in arrays.items()}
    if not count:
        raise ValueError(
            "`representative_data` must hold at least one batch of "
            f"{batch_size} samples. Received: fewer."
        )


def sample_count(data: Any) -> int | None:
    """Returns the number of samples in `data`, if it says so beforehand."""
    if isinstance(data, tuple):
        data = data[0] if data else None
    if isinstance(data, dict):
        data = next(iter(data.values()), None)
    if isinstance(data, list):
        data = data[0] if data else None
    return len(data) if _is_array(data) else None


def _items(data: Any) -> Iterable[Any]:
    if _is_array(data) or isinstance(data, (dict, list, tuple)):
        return [data]
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return data
    raise TypeError(
        "`representative_data` must be an array, a list or dictionary of "
        "arrays, a `tf.data.Dataset` or a generator. Received: "
        f"representative_data={data!r} of type {type(data).__name__}."
    )


def _by_name(item: Any, serving: Serving) -> dict[str, np.ndarray]:
    if isinstance(item, tuple):
        item = item[0] if item else None
    names = list(serving.specs)
    if isinstance(item, dict):
        named = {name: item[name] for name in names if name in item}
    else:
        parts = item if isinstance(item, list) else [item]
        named = dict(zip(names, parts)) if len(parts) == len(names) else {}
    if set(named) != set(names):
        received = list(item) if isinstance(item, dict) else type(item).__name__
        raise ValueError(
            f"`representative_data` must have the model's inputs {names}. "
            f"Received: {received}."
        )
    return {
        name: _as_array(value, name, serving.specs[name])
        for name, value in named.items()
    }


def _as_array(value: Any, name: str, spec: tf.TensorSpec) -> np.ndarray:
    array = np.asarray(value, spec.dtype.as_numpy_dtype)
    fits = array.ndim == len(spec.shape) and all(
        n is None or n == m for n, m in zip(spec.shape[1:], array.shape[1:])
    )
    if not fits:
        raise ValueError(
            f"`representative_data` must have shape {tuple(spec.shape)}, batch "
            f"aside, for the input {name!r}. Received: an array of shape "
            f"{array.shape}."
        )
    return array


def _is_array(data: Any) -> bool:
    return hasattr(data, "shape") and hasattr(data, "__array__")
