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
"""`ExportResult`: what an exporter wrote."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What an exporter wrote.

    Attributes:
        path: Where it is.
        size: Size in bytes.
        max_error: Largest absolute difference from the source model, as a
            fraction of the output scale.
        rms_error: Root mean square of the difference, as a fraction of that
            of the outputs.
        tolerance: What the checked error had to stay under: `max_error`
            without quantization, `rms_error` with it.
        ops: Number of operators of each kind.
        packing: What was chosen for each product, as `packing_of` describes
            it, where the file was packed as it was written.
    """

    path: pathlib.Path
    size: int
    max_error: float
    rms_error: float
    tolerance: float
    ops: dict[str, int]
    packing: tuple[Mapping[str, Any], ...] = ()
