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
"""Names of values that were made: each its own in the whole file.

The runtime doesn't care, but tools that quantize a file tell its values apart
by their names.
"""

from collections.abc import Collection

from tfmot_sapp.compiler.ir.graph import Graph
from tfmot_sapp.compiler.ir.values import Value


def name_apart(graph: Graph, read: Collection[Value]) -> None:
    """Renames values whose names others have, too.

    Args:
        graph: The graph.
        read: Values that keep their names, because a file had them.
    """
    values = dict.fromkeys(
        value
        for subgraph in graph.subgraphs
        for value in subgraph.used_values()
    )
    taken = {value.name for value in values if value in read}
    counts: dict[str, int] = {}
    for value in values:
        if value in read:
            continue
        name = value.name
        while name in taken:
            counts[value.name] = counts.get(value.name, 0) + 1
            name = f"{value.name}_{counts[value.name]}"
        value.name = name
        taken.add(name)
