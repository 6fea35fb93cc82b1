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
"""Nodes whose outputs have the same channels."""

from collections.abc import Iterator, Mapping, Sequence

from tfmot_sapp.compiler.graph import Node, Packable, Value


def alike_nodes(
    nodes: Sequence[Packable],
    producers: Mapping[Value, Node],
    consumers: Mapping[Value, Sequence[Node]],
) -> Iterator[list[Packable]]:
    """Nodes whose outputs share channels, through additions and so on.

    Args:
        nodes: The nodes, in the order of execution.
        producers: The node that makes a value.
        consumers: The nodes that read a value.

    Yields:
        Nodes that belong together.
    """
    seen: set[Packable] = set()
    for node in nodes:
        if node in seen:
            continue
        group, fresh = [], [node]
        while fresh:
            member = fresh.pop()
            if member in seen:
                continue
            seen.add(member)
            group.append(member)
            near: list[Node | None] = [producers.get(v) for v in member.alike]
            near += [
                reader
                for reader in consumers.get(member.output, [])
                if isinstance(reader, Packable)
                and member.output in reader.alike
            ]
            fresh += [n for n in near if isinstance(n, Packable)]
        yield group
