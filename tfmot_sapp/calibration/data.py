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
"""Calibration data in any form, as batches that are held."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.wording import received
from tfmot_sapp.calibration.sweep import Held, Store
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.private.layers import functional_of


def held_batches(
    model: Any, data: Any, batch_size: int, store: Store
) -> tuple[list[list[Held]], Any]:
    """Reads data once and holds them.

    Args:
        model: The model that they are for.
        data: An array; a tuple, list or dictionary of arrays, one for each
            input; a `tf.data.Dataset` or any iterable of batches. Of a tuple
            for a model of one input the first member is it, as for `fit`.
        batch_size: Samples a batch, where `data` is arrays.
        store: Where they are held.

    Returns:
        The batches, with a value for each of the model's inputs; and the
        structure that the model takes them in.

    Raises:
        TypeError: If `data` is none of these.
        ValueError: If it has no sample, or not the model's inputs.
    """
    specs, structure = None, None
    if is_graph(model):
        functional = functional_of(model)
        specs, structure = list(functional.inputs), functional.input
    batches = []
    for batch in _batches(data, batch_size, len(specs) if specs else 1):
        if specs is None:
            structure = batch
            leaves = [_as_tensor(leaf) for leaf in tf.nest.flatten(batch)]
        else:
            leaves = [
                _fitted(leaf, spec)
                for leaf, spec in zip(_in_order(batch, model, specs), specs)
            ]
        _check_finite(leaves)
        held = [Held(leaf) for leaf in leaves]
        for value in held:
            store.hold(value)
        batches.append(held)
    if not batches:
        raise ValueError(
            "`data` must hold at least one sample. Received: none."
        )
    return batches, structure


def inputs_of(batch: Sequence[Held]) -> Any:
    """Returns a held batch as a model made of another's tensors takes it."""
    values = [value.get() for value in batch]
    return values if len(values) > 1 else values[0]


def _batches(data: Any, size: int, inputs: int) -> Iterator[Any]:
    if isinstance(data, tuple) and data and _is_array(data[0]):
        # `(x, y)` for a model of one input, and otherwise its inputs.
        data = data[0] if inputs == 1 else list(data)
    is_inputs = (
        isinstance(data, list)
        and len(data) == inputs > 1
        and all(map(_is_array, data))
    )
    if _is_array(data) or isinstance(data, Mapping) or is_inputs:
        lengths = [_samples(leaf) for leaf in tf.nest.flatten(data)]
        if len(set(lengths)) != 1:
            raise ValueError(
                "`data` must hold equally many samples for each input. "
                f"Received: {lengths}."
            )
        for start in range(0, lengths[0], size):
            yield tf.nest.map_structure(
                lambda leaf, start=start: leaf[start : start + size], data
            )
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        raise TypeError(
            "`data` must be an array, a tuple or dictionary of arrays, a "
            "`tf.data.Dataset` or an iterable of batches. "
            f"{received('data', data)}"
        )
    yield from (_input_of(batch, inputs) for batch in data)


def _samples(leaf: Any) -> int:
    try:
        return len(leaf)
    except TypeError as error:
        raise TypeError(
            "`data` must be an array, or hold arrays, whose first axis is the "
            f"samples. {received('data', leaf)}"
        ) from error


def _input_of(batch: Any, inputs: int) -> Any:
    if not isinstance(batch, tuple):
        return batch
    if inputs > 1 and len(batch) == inputs and all(map(_is_array, batch)):
        return list(batch)
    return batch[0]


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "__array__")


def _in_order(batch: Any, model: Any, specs: list[Any]) -> list[Any]:
    if isinstance(batch, Mapping):
        names = getattr(model, "input_names", None) or [s.name for s in specs]
        missing = [name for name in names if name not in batch]
        if missing:
            raise ValueError(
                f"`data` must have the model's inputs {list(names)} as keys. "
                f"Received: {sorted(batch)}."
            )
        return [batch[name] for name in names]
    leaves = list(itertools.chain(batch)) if _is_list(batch) else [batch]
    if len(leaves) != len(specs):
        raise ValueError(
            f"`data` must have an array for each of the model's {len(specs)} "
            f"inputs. Received: {len(leaves)}."
        )
    return leaves


def _is_list(batch: Any) -> bool:
    return isinstance(batch, (list, tuple))


def _check_finite(leaves: Sequence[tf.Tensor]) -> None:
    for leaf in leaves:
        if leaf.dtype.is_floating and not bool(
            tf.reduce_all(tf.math.is_finite(leaf))
        ):
            raise ValueError(
                "`data` must hold finite values. Received: a batch of shape "
                f"{tuple(leaf.shape)} with NaN or infinite ones."
            )


def _as_tensor(leaf: Any) -> tf.Tensor:
    if isinstance(leaf, (tf.Tensor, tf.RaggedTensor, tf.SparseTensor)):
        return leaf
    try:
        return tf.convert_to_tensor(np.asarray(leaf))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`data` must hold numbers or text. {received('data', leaf)}"
        ) from error


def _fitted(leaf: Any, spec: Any) -> tf.Tensor:
    """Makes an input what the model would make of it."""
    tensor = _as_tensor(leaf)
    shape = tuple(spec.shape)
    if tensor.shape.rank + 1 == len(shape) and shape[-1] == 1:
        tensor = tensor[..., None]
    fits = tensor.shape.rank == len(shape) and all(
        want is None or want == have
        for want, have in zip(shape[1:], tensor.shape[1:])
    )
    if not fits:
        have = tuple(tensor.shape)
        is_sample = len(have) + 1 == len(shape) and all(
            want is None or want == own for want, own in zip(shape[1:], have)
        )
        raise ValueError(
            f"`data` must have samples of shape {shape[1:]} for the input "
            f"`{spec.name}`. Received: "
            + (
                "one sample in place of a batch; batch the dataset, or put "
                "samples together in an array."
                if is_sample
                else f"{have[1:]}."
            )
        )
    is_text, is_wanted = (
        tf.as_dtype(one.dtype) == tf.string for one in (tensor, spec)
    )
    if is_text != is_wanted or tensor.dtype.is_complex:
        raise TypeError(
            f"`data` must hold values of type {spec.dtype} for the input "
            f"`{spec.name}`. Received: values of type {tensor.dtype.name}."
        )
    return tf.cast(tensor, spec.dtype)
