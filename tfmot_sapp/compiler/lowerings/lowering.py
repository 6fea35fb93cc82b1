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

from collections.abc import Iterator
from typing import Any, ClassVar

from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)

Weight = tuple[str, tuple[int, ...]]


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
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the output pieces.

        Args:
            weights: Arrays or tensors as `weights()` lists them.
            pieces: The input pieces.
            write: Writes operations for the runtime.
        """
        raise TypeError(f"{type(self).__name__} doesn't define `outputs`.")
