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
"""Files that are timed on another machine, and must be small to get there.

Weights are a power of two with random signs, of which a compressed file needs
a bit each.
"""

import lzma
import pathlib

import numpy as np

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 1, "lc": 0, "lp": 2, "pb": 2}]


def random_signs(
    shape: tuple[int, ...], mask: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Makes weights with which outputs are about as large as inputs.

    Args:
        shape: Shape of the kernel, outputs last.
        mask: 1 where a weight stays and 0 elsewhere: an array of that shape, or
            of its last axes.
        generator: What draws the signs.

    Returns:
        Float32 array of that shape.
    """
    fan = np.prod(shape[:-1]) * mask.mean()
    scale = 2.0 ** np.round(np.log2(1.4 / np.sqrt(fan)))
    signs = generator.integers(0, 2, shape) * 2 - 1
    return (signs * scale * mask).astype(np.float32)


def write_compressed(path: pathlib.Path, content: bytes) -> None:
    """Writes a file.

    Args:
        path: Where to.
        content: What `read_compressed` returns.
    """
    path.write_bytes(lzma.compress(content, filters=_FILTERS))


def read_compressed(path: str | pathlib.Path) -> bytes:
    """Reads a file.

    Args:
        path: What `write_compressed` wrote.
    """
    return lzma.decompress(pathlib.Path(path).read_bytes())
