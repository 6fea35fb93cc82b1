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

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.wording import brief, received
from tfmot_sapp.export.open_extents import OPEN_EXTENTS
from tfmot_sapp.export.serving import Serving
from tfmot_sapp.frameworks.walking import flatten_layers

_MOST_VALUES = 2**29  # Of float32, in 2 GiB.


def random_inputs(
    serving: Serving,
    samples: int,
    seed: int = 0,
    low: float | None = None,
    high: float = 1.0,
    open_axis: int = OPEN_EXTENTS[0],
) -> dict[str, np.ndarray]:
    """Makes inputs that a model accepts.

    Integers run over the vocabulary of the model's smallest embedding (over 0
    and 1 if it has none).

    Args:
        serving: What the model takes.
        samples: Number of samples, ignored by inputs with a fixed batch.
        seed: Seed of the generator.
        low: Lowest real number, or `None` for normal ones.
        high: Highest real number, or the standard deviation of normal ones.
        open_axis: Extent of axes that the model leaves open, but the batch.

    Returns:
        Dictionary of arrays by input name.

    Raises:
        ValueError: If an input is of another type.
    """
    generator = np.random.default_rng(seed)
    sizes = [
        layer.input_dim
        for layer in flatten_layers(serving.model)
        if isinstance(getattr(layer, "input_dim", None), int)
    ]
    top = min(sizes, default=2)
    made = {}
    for name, spec in serving.specs.items():
        values: np.ndarray
        batch, *rest = spec.shape
        shape = [batch or samples, *(n or open_axis for n in rest)]
        if math.prod(shape) > _MOST_VALUES:
            raise ValueError(
                f"`batch_size` must leave the input {name!r} of `model` at "
                f"most {_MOST_VALUES} values, what a runtime's tensor holds. "
                f"Received: an input of shape {tuple(shape)}."
            )
        if spec.dtype.is_floating:
            if low is None:
                values = generator.normal(0.0, high, shape)
            else:
                values = generator.uniform(low, high, shape)
        elif spec.dtype == tf.bool:
            values = generator.integers(0, 2, shape)
        elif spec.dtype.is_integer:
            values = generator.integers(0, top, shape)
        else:
            raise ValueError(
                "An input of `model` is of a type that no random number stands "
                "for; pass `representative_data`. Received: input "
                f"{name!r} of type {spec.dtype.name}."
            )
        made[name] = values.astype(spec.dtype.as_numpy_dtype)
    return made


def batches(
    data: Any, serving: Serving, batch_size: int, max_samples: int
) -> Iterator[dict[str, np.ndarray]]:
    """Cuts representative data in batches.

    Args:
        data: An array; a list or tuple of arrays, one per input; a dictionary
            by input name; or an iterable (`tf.data.Dataset`, generator) of
            batches of any of these. A tuple may also be what `fit` takes,
            `(x, y)` or `(x, y, weights)`, with `x` any of these.
        serving: What the model takes.
        batch_size: Samples in a batch; a rest that fills none is left out.
        max_samples: Stops after so many samples.

    Yields:
        Dictionaries of arrays by input name.

    Raises:
        TypeError: If `data` is none of these.
        ValueError: If its arrays don't fit the model's inputs, hold NaN or
            infinite values, or do not fill one batch.
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


def check_data(data: Any) -> Any:
    """Returns representative data if they may be some.

    Raises:
        TypeError: If they are no array and hold none.
        ValueError: If an array has no samples.
    """
    if _is_array(data):
        _check_samples(data)
        return data
    if isinstance(data, (dict, list, tuple)):
        _check_members(data)
        return data
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return data
    raise TypeError(
        "`representative_data` must be an array, a list or dictionary of "
        "arrays, a `tf.data.Dataset` or a generator. "
        f"{received('representative_data', data)}"
    )


def _check_members(data: Any) -> None:
    members = tf.nest.flatten(data)
    for member in members:
        if _is_array(member):
            _check_samples(member)
    wrong = [m for m in members if m is None or isinstance(m, (str, bytes))]
    if not members or wrong:
        raise TypeError(
            "`representative_data` must hold an array for each of the model's "
            f"inputs. {received('representative_data', data)}"
        )


def _check_samples(array: Any) -> None:
    if None in tuple(array.shape):
        raise TypeError(
            "`representative_data` must hold values, and not a symbol of them, "
            "as `keras.Input` gives. "
            f"{received('representative_data', array)}"
        )
    if not tuple(array.shape) or array.shape[0] == 0:
        raise ValueError(
            "`representative_data` must hold samples along the first axis. "
            f"Received: an array of shape {tuple(array.shape)}."
        )
    if getattr(array.dtype, "kind", "") == "O" and not all(
        isinstance(value, (str, bytes)) for value in np.ravel(array)
    ):
        raise TypeError(
            "`representative_data` must hold numbers or text. "
            f"{received('representative_data', array)}"
        )


def _items(data: Any) -> Iterable[Any]:
    check_data(data)
    if _is_array(data) or isinstance(data, (dict, list, tuple)):
        return [data]
    return data


def _by_name(item: Any, serving: Serving) -> dict[str, np.ndarray]:
    names = list(serving.specs)
    item = _inputs_of(item, len(names))
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


def _inputs_of(item: Any, count: int) -> Any:
    """The inputs of a batch, without the targets that `fit` takes with them."""
    if not isinstance(item, tuple):
        return item
    are_inputs = len(item) == count and all(map(_is_array, item))
    if are_inputs and count > 1:
        return list(item)
    if not item:
        return None
    first = item[0]
    if isinstance(first, tuple) and len(first) == count:
        return list(first)
    return first


def _as_array(value: Any, name: str, spec: tf.TensorSpec) -> np.ndarray:
    try:
        found = np.asarray(value)
        if np.iscomplexobj(found) and not spec.dtype.is_complex:
            raise TypeError("complex numbers")
        with np.errstate(over="ignore"):
            array = found.astype(spec.dtype.as_numpy_dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`representative_data` must hold values of type {spec.dtype.name} "
            f"for the input {name!r}: {brief(error)}. "
            f"{received('representative_data', value)}"
        ) from error
    fits = array.ndim == len(spec.shape) and all(
        n is None or n == m for n, m in zip(spec.shape[1:], array.shape[1:])
    )
    if not fits:
        raise ValueError(
            f"`representative_data` must have shape {tuple(spec.shape)}, batch "
            f"aside, for the input {name!r}. Received: an array of shape "
            f"{array.shape}."
        )
    if spec.dtype.is_floating and not np.isfinite(array).all():
        count = array.size - np.count_nonzero(np.isfinite(array))
        raise ValueError(
            "`representative_data` must hold finite numbers only: ranges and "
            f"errors are measured with them. Received: {count} values that are "
            f"NaN or infinite in {spec.dtype.name} for the input {name!r}."
        )
    return array


def _is_array(data: Any) -> bool:
    return hasattr(data, "shape") and hasattr(data, "__array__")
