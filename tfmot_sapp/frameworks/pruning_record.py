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
"""What a model remembers of its pruning that its layers cannot tell.

A stripped model is made of plain layers: with which block sizes it was pruned,
and why layers were left alone, is kept on the model itself, as one attribute.
A model that was loaded from a file has none and is reported on by its zeros.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfmot_sapp.blocks.report import Row

_ATTRIBUTE = "tfmot_sapp_record"


@dataclasses.dataclass(frozen=True)
class PruningRecord:
    """What a model remembers.

    Attributes:
        skipped: Pairs of a kernel's name and the reason why it was left alone.
        rows: The rows that the wrapped model was reported by; `None` if the
            model has not been wrapped.
    """

    skipped: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] | None = None


def record_of(model: Any) -> PruningRecord:
    """Returns a model's record, an empty one if it has none."""
    return getattr(model, _ATTRIBUTE, None) or PruningRecord()


def record_skipped(model: Any, reasons: Mapping[str, str]) -> None:
    """Notes on a model why kernels were left alone."""
    record = dataclasses.replace(
        record_of(model), skipped=tuple(reasons.items())
    )
    setattr(model, _ATTRIBUTE, record)


def record_rows(model: Any, rows: tuple[Row, ...]) -> None:
    """Notes on a stripped model what its wrapped form was reported by."""
    setattr(model, _ATTRIBUTE, dataclasses.replace(record_of(model), rows=rows))
