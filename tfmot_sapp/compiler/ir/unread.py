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
"""What of a list of operations is read."""

from collections.abc import Iterable, Sequence

from tfmot_sapp.compiler.ir.evaluate import has_meaning
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.values import Value


def without_unread(
    operations: Sequence[Operation], outputs: Iterable[Value]
) -> list[Operation]:
    """Leaves out operations that do nothing but make what nobody reads.

    Args:
        operations: In the order of execution.
        outputs: What is read beside what operations read.

    Returns:
        The others, in the same order.
    """
    read = set(outputs)
    kept = []
    for operation in reversed(operations):
        is_read = read.intersection(operation.outputs)
        if not is_read and _only_computes(operation):
            continue
        kept.append(operation)
        read.update(v for v in operation.inputs if v is not None)
    return kept[::-1]


def _only_computes(operation: Operation) -> bool:
    """Whether an operation does nothing but to make its outputs."""
    return has_meaning(operation) and not operation.regions
