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
"""Block sizes that packed layers are fast with."""

from typing import Any

from tfmot_sapp.blocks.block_size import BlockSize
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.layers.axes import IN, OUT
from tfmot_sapp.frameworks.which_keras import check_layer
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target


def latency_block_size(
    layer: Any, target: Target | None = None
) -> BlockSize | None:
    """Returns a block size that the packed layer is fast with.

    To be given as `block_size=latency_block_size`, which is for a CPU: blocks
    of 32 inputs, but at most an eighth of them, so that an output block can
    read few; and of up to 128 outputs, but at least eight output blocks. For
    another target, `block_size=lambda layer: latency_block_size(layer,
    GpuTarget())`.

    Args:
        layer: A built layer of either Keras.
        target: Where the model will run. Defaults to `CpuTarget()`.

    Returns:
        `(in, out)`, or `None` for a layer whose kernel is too narrow for
        blocks of 16 by 16 (on a GPU 64 by 64): eight of them each way.

    Raises:
        TypeError: If `layer` is no layer, or `target` no target.

    Example:

    >>> import keras
    >>> from tfmot_sapp import GpuTarget
    >>> layer = keras.layers.Dense(1024)
    >>> layer.build((None, 512))
    >>> latency_block_size(layer)
    (32, 128)
    >>> latency_block_size(layer, GpuTarget())
    (64, 128)
    """
    check_layer(layer)
    where = CpuTarget() if target is None else check_target(target)
    sizes = []
    for kernel in find_kernels(layer):
        length = {IN: 1, OUT: 1}
        for role, extent in zip(kernel.roles, kernel.shape):
            if role in length:
                length[role] *= extent
        sizes.append((length[IN], length[OUT]))
    if not sizes:
        return None
    inputs, outputs = (min(side) for side in zip(*sizes))
    return where.block_size(inputs, outputs)
