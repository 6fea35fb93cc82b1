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
"""What a packed layer is traced for: the runtime and the data type.

A packed layer stores its weights once and computes the same everywhere, but
runtimes are fast at different operations: LiteRT at grouped convolutions, which
TensorFlow on a CPU has no fast kernel for; in 8 bits an addition rounds, so
that one larger product is better than a sum of small ones. The exporters say
here what they trace for, and the lowerings ask.

They also say that weights are to be constants of the graph. TensorFlow hands
every variable of a SavedModel to each call, which takes longer than a small
packed layer does; and what a lowering does to constant weights is done once,
when the file is written.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Emission:
    """What a trace is for.

    Attributes:
        runtime: `"tensorflow"` or `"litert"`.
        quantize: Data type of the file, as in `export_tflite`.
        constants: Whether weights are constants of the graph.
    """

    runtime: str = "tensorflow"
    quantize: str | None = None
    constants: bool = False

    @property
    def grouped_dense(self) -> bool:
        """Whether a grouped convolution is how to multiply gathered blocks."""
        return self.runtime == "litert"

    @property
    def additions_round(self) -> bool:
        """Whether the products of an output piece should be one."""
        return self.quantize in ("dynamic_int8", "int8")


_DEFAULT = Emission()
_CURRENT: contextvars.ContextVar[Emission] = contextvars.ContextVar("emission")


def current_emission() -> Emission:
    """Returns what the trace that is under way is for."""
    return _CURRENT.get(_DEFAULT)


@contextlib.contextmanager
def emitting(emission: Emission) -> Iterator[None]:
    """Says what the traces within the block are for.

    Args:
        emission: What they are for.

    Example:

    >>> with emitting(Emission("litert")):
    ...     current_emission().runtime
    'litert'
    """
    token = _CURRENT.set(emission)
    try:
        yield
    finally:
        _CURRENT.reset(token)
