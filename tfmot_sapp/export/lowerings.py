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
"""Ways to compute a packed layer with plain operations, one small class each.

A lowering takes and gives pieces: tensors that hold some of the channels each.
It knows the shapes of its weights and yields its outputs one after the other,
so that whatever follows an output (an addition, an activation) is computed
while that output is still in the cache.

- `Products`: one small product for each output piece, of the concatenation of
  just the input pieces it reads; or several products, added up.
- `Group`: gather the blocks, then one grouped convolution.
- `GatherMatmul`: gather the blocks, then batched products.
- `Channelwise`: depthwise convolution or scale, piece by piece.
- `Shifts`: pieces as the taps of a convolution see them.
- `Attention`: between projected queries, keys and values.
- `Through`: nothing but the steps that follow.
- `Join`, `Cut`, `Fill`: pieces to one tensor, one tensor to pieces, constants.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

# What XNNPACK takes in one concatenation; a wider one leaves the delegate.
WIDEST_CONCAT = 5

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

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the output pieces.

        Args:
            weights: Tensors as `weights()` lists them.
            pieces: The input pieces.
        """
        raise TypeError(f"{type(self).__name__} doesn't define `outputs`.")


def lowering_from_config(config: dict[str, Any]) -> Lowering:
    """Makes the lowering that `Lowering.get_config` described."""
    fields = {k: _tuples(v) for k, v in config.items() if k != "kind"}
    return _LOWERINGS[config["kind"]](**fields)


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return value


def join(pieces: Tensors) -> Any:
    """Concatenates along the channels, in steps that the delegate takes."""
    pieces = list(pieces)
    while len(pieces) > 1:
        pieces = [
            tf.concat(part, -1) if len(part) > 1 else part[0]
            for part in chunks(pieces, WIDEST_CONCAT)
        ]
    return pieces[0]


def chunks(items: Sequence[Any], most: int) -> list[Any]:
    """Cuts a sequence in parts of nearly equal length, at most `most`."""
    if not items:
        return []
    count = math.ceil(len(items) / most)
    each = math.ceil(len(items) / count)
    return [items[i : i + each] for i in range(0, len(items), each)]


def _product(x: Any, kernel: Any, window: tuple[Any, ...]) -> Any:
    if not window:
        return tf.matmul(x, kernel)
    strides, padding, dilation = window
    if padding == "causal":
        reach = dilation[0] * (kernel.shape[0] - 1)
        x = tf.pad(x, [[0, 0], [reach, 0], [0, 0]])
        padding = "valid"
    return tf.nn.convolution(
        x, kernel, list(strides), padding.upper(), dilations=list(dilation)
    )


@dataclasses.dataclass(frozen=True)
class Products(Lowering):
    """One small product, or a sum of some, for every output piece.

    Attributes:
        taps: Spatial extents of the kernels; empty for a Dense.
        window: (strides, padding, dilation); empty for a Dense.
        inputs: Widths of the input pieces.
        widths: Widths of the output pieces.
        reads: For each output piece, groups of input pieces. The pieces of a
            group are concatenated, the products of the groups added up.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    inputs: tuple[int, ...]
    widths: tuple[int, ...]
    reads: tuple[tuple[tuple[int, ...], ...], ...]
    kind = "products"

    def weights(self) -> list[Weight]:
        """The kernels of its groups and a bias, for each output piece."""
        weights: list[Weight] = []
        for j, (width, groups) in enumerate(zip(self.widths, self.reads)):
            for g, group in enumerate(groups):
                depth = sum(self.inputs[i] for i in group)
                weights.append((f"kernel_{j}_{g}", (*self.taps, depth, width)))
            weights.append((f"bias_{j}", (width,)))
        return weights

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the output pieces; a bare bias where nothing is read."""
        joined: dict[tuple[int, ...], Any] = {}
        remaining = iter(weights)
        for groups in self.reads:
            kernels = [next(remaining) for _ in groups]
            total = next(remaining)
            for g, (group, kernel) in enumerate(zip(groups, kernels)):
                if group not in joined:
                    joined[group] = join([pieces[i] for i in group])
                part = _product(joined[group], kernel, self.window)
                # The bias goes with the first product, which takes it for
                # nothing.
                total = tf.nn.bias_add(part, total) if g == 0 else total + part
            yield total


@dataclasses.dataclass(frozen=True)
class Group(Lowering):
    """Gathers the blocks; one grouped convolution for each count of blocks.

    Attributes:
        taps: Spatial extents of the kernel; empty for a Dense.
        window: (strides, padding, dilation); empty for a Dense.
        block: Channels of an input and of an output block.
        reads: For each output block, in the order of the computation, the
            input blocks that it reads. Neighbours of equal count share a
            convolution.
        order: Where in `reads` each output block of the layer is.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    block: tuple[int, int]
    reads: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    kind = "group"

    def weights(self) -> list[Weight]:
        """A kernel for each count of blocks, and a bias."""
        rows, columns = self.block
        taps = self.taps or (1, 1)
        weights: list[Weight] = []
        for i, part in enumerate(_equal_counts(self.reads)):
            shape = (*taps, rows * len(part[0]), columns * len(part))
            weights.append((f"kernel_{i}", shape))
            weights.append((f"bias_{i}", (columns * len(part),)))
        return weights

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the one output."""
        (x,) = pieces
        blocked = _blocked(x, self.block[0])
        parts = []
        for i, part in enumerate(_equal_counts(self.reads)):
            kernel, bias = weights[2 * i], weights[2 * i + 1]
            index = [block for read in part for block in read]
            taken = tf.gather(blocked, index, axis=-2)
            taken = _unblocked(taken)
            if not self.window:
                flat = tf.reshape(taken, (-1, 1, 1, taken.shape[-1]))
                y = _like(tf.nn.conv2d(flat, kernel, 1, "VALID"), x)
            else:
                y = _product(taken, kernel, self.window)
            # TensorFlow on a CPU would fuse a bias that follows immediately
            # with the convolution, and then refuse it for being grouped.
            rows = tf.reshape(y, (-1, y.shape[-1]))
            parts.append(_like(tf.nn.bias_add(rows, bias), y))
        yield _in_order(parts, self.block[1], self.order)


@dataclasses.dataclass(frozen=True)
class GatherMatmul(Lowering):
    """Gathers the blocks; one batched product; sums by output block.

    Where every output block reads the same number of blocks, the product does
    the sum.

    Attributes:
        block: Channels of an input and of an output block.
        reads: For each output block, the input blocks that it reads.
    """

    block: tuple[int, int]
    reads: tuple[tuple[int, ...], ...]
    kind = "gather_matmul"

    @property
    def balanced(self) -> bool:
        """Whether all output blocks read equally many blocks."""
        return len(_equal_counts(self.reads)) == 1

    def weights(self) -> list[Weight]:
        """One kernel and one bias."""
        rows, columns = self.block
        count = sum(len(read) for read in self.reads)
        kernel = (count, rows, columns)
        if self.balanced:
            each = len(self.reads[0])
            kernel = (len(self.reads), rows * each, columns)
        return [
            ("kernel", kernel),
            ("bias", (columns * len(self.reads),)),
        ]

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the one output."""
        (x,), (kernel, bias) = pieces, weights
        rows, columns = self.block
        blocked = tf.reshape(x, (-1, x.shape[-1] // rows, rows))
        index = [block for read in self.reads for block in read]
        taken = tf.gather(blocked, index, axis=1)
        taken = tf.reshape(taken, (-1, kernel.shape[0], kernel.shape[1]))
        y = tf.matmul(tf.transpose(taken, (1, 0, 2)), kernel)
        if not self.balanced:
            counts = [len(read) for read in self.reads]
            ids = np.repeat(np.arange(len(counts)), counts)
            # The sorted variant can't be compiled by XLA.
            y = tf.math.unsorted_segment_sum(y, ids, len(counts))
        width = columns * len(self.reads)
        y = tf.reshape(tf.transpose(y, (1, 0, 2)), (-1, width))
        yield _like(tf.nn.bias_add(y, bias), x)


def _equal_counts(
    reads: tuple[tuple[int, ...], ...],
) -> list[tuple[tuple[int, ...], ...]]:
    parts: list[tuple[tuple[int, ...], ...]] = []
    for read in reads:
        if parts and len(parts[-1][0]) == len(read):
            parts[-1] = (*parts[-1], read)
        else:
            parts.append((read,))
    return parts


def _leading(x: Any) -> list[Any]:
    """The extents but the last, at most one of them unknown as -1."""
    static = [-1 if n is None else int(n) for n in x.shape[:-1]]
    if static.count(-1) <= 1:
        return static
    shape = tf.shape(x)
    return [shape[i] for i in range(len(static))]


def _blocked(x: Any, width: int) -> Any:
    return tf.reshape(x, [*_leading(x), x.shape[-1] // width, width])


def _unblocked(x: Any) -> Any:
    width = x.shape[-1] * x.shape[-2]
    return tf.reshape(x, [*_leading(x)[:-1], width])


def _like(y: Any, x: Any) -> Any:
    return tf.reshape(y, [*_leading(x), y.shape[-1]])


def _in_order(parts: Tensors, width: int, order: tuple[int, ...]) -> Any:
    whole = tf.concat(parts, -1) if len(parts) > 1 else parts[0]
    if order == tuple(range(len(order))):
        return whole
    return _unblocked(tf.gather(_blocked(whole, width), order, axis=-2))


@dataclasses.dataclass(frozen=True)
class Channelwise(Lowering):
    """A depthwise convolution, or a factor and offset for each channel.

    Attributes:
        taps: Spatial extents of the kernel; empty for a factor.
        window: (strides, padding, dilation); empty for a factor.
        widths: Widths of the pieces.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    widths: tuple[int, ...]
    kind = "channelwise"

    def weights(self) -> list[Weight]:
        """A kernel and a bias for each piece."""
        weights: list[Weight] = []
        for i, width in enumerate(self.widths):
            weights.append((f"kernel_{i}", (*self.taps, width)))
            weights.append((f"bias_{i}", (width,)))
        return weights

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields a piece for each piece."""
        for i, x in enumerate(pieces):
            kernel, bias = weights[2 * i], weights[2 * i + 1]
            if not self.window:
                yield x * kernel + bias
            else:
                yield tf.nn.bias_add(_depthwise(x, kernel, self.window), bias)


def _depthwise(x: Any, kernel: Any, window: tuple[Any, ...]) -> Any:
    strides, padding, dilation = window
    kernel = kernel[..., tf.newaxis]
    if len(strides) == 2:
        return tf.nn.depthwise_conv2d(
            x, kernel, [1, *strides, 1], padding.upper(), dilations=dilation
        )
    if padding == "causal":
        reach = dilation[0] * (kernel.shape[0] - 1)
        x = tf.pad(x, [[0, 0], [reach, 0], [0, 0]])
        padding = "valid"
    y = tf.nn.depthwise_conv2d(
        x[:, tf.newaxis],
        kernel[tf.newaxis],
        [1, strides[0], strides[0], 1],
        padding.upper(),
        dilations=(1, *dilation),
    )
    return y[:, 0]


@dataclasses.dataclass(frozen=True)
class Shifts(Lowering):
    """Pieces as the taps of a convolution see them.

    Attributes:
        frame: (before, after) zeros for each spatial axis.
        strides: Of the convolution.
        extent: Spatial extents of the output; `None` where unknown, where the
            stride is 1.
        reach: Shift of the farthest tap along each axis.
        pieces: For each output piece, the input piece and the shift along each
            spatial axis.
    """

    frame: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    extent: tuple[int | None, ...]
    reach: tuple[int, ...]
    pieces: tuple[tuple[int, tuple[int, ...]], ...]
    kind = "shifts"

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the shifted pieces."""
        del weights
        frame = [(0, 0), *self.frame, (0, 0)]
        if any(sum(each) for each in frame):
            pieces = [tf.pad(x, frame) for x in pieces]
        for i, shift in self.pieces:
            yield pieces[i][self._window(shift)]

    def _window(self, shift: tuple[int, ...]) -> tuple[Any, ...]:
        spans = [slice(None)]
        for begin, stride, count, reach in zip(
            shift, self.strides, self.extent, self.reach
        ):
            if count is None:
                spans.append(slice(begin, begin - reach or None))
            else:
                spans.append(
                    slice(begin, begin + (count - 1) * stride + 1, stride)
                )
        return (*spans, slice(None))


@dataclasses.dataclass(frozen=True)
class Attention(Lowering):
    """Attention between projected queries, keys and values.

    Attributes:
        heads: Number of heads.
        scale: What scores are multiplied with.
    """

    heads: int
    scale: float
    kind = "attention"

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the heads' results, side by side."""
        del weights
        query, key, value = (self._by_head(x) for x in pieces)
        scores = tf.matmul(query * self.scale, key, transpose_b=True)
        mixed = tf.matmul(tf.nn.softmax(scores), value)
        mixed = tf.transpose(mixed, (0, 2, 1, 3))
        yield _unblocked(mixed)

    def _by_head(self, x: Any) -> Any:
        width = x.shape[-1] // self.heads
        return tf.transpose(_blocked(x, width), (0, 2, 1, 3))


@dataclasses.dataclass(frozen=True)
class Through(Lowering):
    """Gives each piece on, to the steps."""

    kind = "through"

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the pieces."""
        del weights
        yield from pieces


@dataclasses.dataclass(frozen=True)
class Join(Lowering):
    """Puts pieces together."""

    kind = "join"

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the one tensor."""
        del weights
        # In one step, though it leaves the delegate: one copy, not several.
        yield tf.concat(list(pieces), -1)


@dataclasses.dataclass(frozen=True)
class Cut(Lowering):
    """Cuts pieces out of a tensor.

    Attributes:
        spans: First and last-but-one channel of each piece.
    """

    spans: tuple[tuple[int, int], ...]
    kind = "cut"

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the pieces."""
        del weights
        (x,) = pieces
        widths = [end - begin for begin, end in self.spans]
        if sum(widths) == x.shape[-1]:
            yield from tf.split(x, widths, -1)
            return
        for begin, end in self.spans:
            yield x[..., begin:end]


@dataclasses.dataclass(frozen=True)
class Fill(Lowering):
    """Constant channels, in the shape of a given piece.

    Attributes:
        width: Number of channels.
    """

    width: int
    kind = "fill"

    def weights(self) -> list[Weight]:
        """The constants."""
        return [("values", (self.width,))]

    def outputs(self, weights: Tensors, pieces: Tensors) -> Iterator[Any]:
        """Yields the one piece."""
        yield tf.zeros_like(pieces[0][..., :1]) + weights[0]


_LOWERINGS: dict[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        Products,
        Group,
        GatherMatmul,
        Channelwise,
        Shifts,
        Attention,
        Through,
        Join,
        Cut,
        Fill,
    )
}
