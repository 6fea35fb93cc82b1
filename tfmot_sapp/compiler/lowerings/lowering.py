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
"""The interface of a lowering: a way to compute a layer with plain operations.

A lowering takes and gives pieces: tensors that hold some of the channels each.
It knows the shapes of its weights and yields its outputs one after the other,
so that whatever follows an output (an addition, an activation) is computed
while that output is still in the cache.

A new one is a frozen dataclass of its own: `kind`, `weights()`, `outputs()`,
and a line in `by_name.py`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfmot_sapp.targets.operators import Operators

Weight = tuple[str, tuple[int, ...]]
Tensors = Sequence[Any]


class Lowering:
    """Base class of the lowerings, which are frozen dataclasses."""

    kind: ClassVar[str]

    def get_config(self) -> dict[str, Any]:
        """The fields and the kind, ready for JSON."""
        return {"kind": self.kind, **vars(self)}

    def weights(self) -> list[Weight]:
        """Name and shape of every weight, in the order `outputs` takes them."""
        return []

    def outputs(
        self, weights: Tensors, pieces: Tensors, operators: Operators
    ) -> Iterator[Any]:
        """Yields the output pieces.

        Args:
            weights: Tensors as `weights()` lists them.
            pieces: The input pieces.
            operators: How the runtime wants them computed.
        """
        raise TypeError(f"{type(self).__name__} doesn't define `outputs`.")


def join(pieces: Tensors, widest: int) -> Any:
    """Concatenates along the channels, at most `widest` pieces in a step."""
    pieces = list(pieces)
    while len(pieces) > 1:
        pieces = [
            tf.concat(part, -1) if len(part) > 1 else part[0]
            for part in chunks(pieces, widest)
        ]
    return pieces[0]


def chunks(items: Sequence[Any], most: int) -> list[Any]:
    """Cuts a sequence in parts of nearly equal length, at most `most`."""
    if not items:
        return []
    count = math.ceil(len(items) / most)
    each = math.ceil(len(items) / count)
    return [items[i : i + each] for i in range(0, len(items), each)]


def leading(x: Any) -> list[Any]:
    """The extents but the last, at most one of them unknown as -1."""
    static = [-1 if n is None else int(n) for n in x.shape[:-1]]
    if static.count(-1) <= 1:
        return static
    shape = tf.shape(x)
    return [shape[i] for i in range(len(static))]


def blocked(x: Any, width: int) -> Any:
    """Channels as (blocks, channels of a block)."""
    return tf.reshape(x, [*leading(x), x.shape[-1] // width, width])


def unblocked(x: Any) -> Any:
    """Blocks of channels as channels."""
    width = x.shape[-1] * x.shape[-2]
    return tf.reshape(x, [*leading(x)[:-1], width])


def like(y: Any, x: Any) -> Any:
    """Rows in the leading shape of another tensor."""
    return tf.reshape(y, [*leading(x), y.shape[-1]])


# Weights are arrays where they are constants of a graph, and then what is done
# to them is done here and now.


def concatenated(weights: Tensors, axis: int) -> Any:
    """Weights side by side."""
    if all(isinstance(weight, np.ndarray) for weight in weights):
        return np.concatenate(weights, axis)
    return tf.concat(list(weights), axis)


def transposed(
    weight: Any, axes: tuple[int, ...], shape: tuple[int, ...] | None = None
) -> Any:
    """A weight with its axes in another order, then reshaped."""
    if isinstance(weight, np.ndarray):
        array = np.transpose(weight, axes)
        return array if shape is None else np.reshape(array, shape)
    tensor = tf.transpose(weight, axes)
    return tensor if shape is None else tf.reshape(tensor, shape)


def flat_rows(weight: Any, index: np.ndarray) -> Any:
    """Some rows of a weight, in a row."""
    if isinstance(weight, np.ndarray):
        return np.reshape(weight[index], -1)
    return tf.reshape(tf.gather(weight, index), (-1,))
