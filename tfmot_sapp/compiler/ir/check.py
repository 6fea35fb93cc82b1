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
"""What holds in every graph: order of execution, and no recursion."""

from tfmot_sapp.compiler.ir.graph import Graph, Subgraph


def check_graph(graph: Graph) -> None:
    """Checks that a graph can be executed.

    Args:
        graph: The graph.

    Raises:
        ValueError: If a value is read before an operation writes it, or is
            written although it is an input, a constant or written already; if
            a subgraph runs itself, or one that is not in the graph.
    """
    runs = {subgraph: _run_by(subgraph) for subgraph in graph.subgraphs}
    needed = {signature.subgraph for signature in graph.signatures}.union(
        *runs.values()
    )
    missing = [subgraph.name for subgraph in needed if subgraph not in runs]
    if missing or not runs:
        raise ValueError(
            "`graph` must hold all subgraphs that it runs, the main one first. "
            f"Received: a graph without {missing or 'any'}."
        )
    for subgraph in graph.subgraphs:
        _check_order(subgraph)
    _check_no_recursion(runs)


def _run_by(subgraph: Subgraph) -> set[Subgraph]:
    return {
        region
        for operation in subgraph.operations
        for regions in operation.regions.values()
        for region in regions
    }


def _check_order(subgraph: Subgraph) -> None:
    produced = {
        value
        for operation in subgraph.operations
        for value in operation.outputs
    }
    # What nothing writes may be read: the runtime gives it memory, which
    # operators that vendors compiled use as they like.
    written = set(subgraph.inputs)
    for operation in subgraph.operations:
        for value in operation.inputs:
            if value in produced and value not in written:
                raise ValueError(
                    f"the subgraph {subgraph.name!r} must write the value "
                    f"{value.name!r} before {operation.kind} reads it. "
                    "Received: an operation that writes it later."
                )
        for value in operation.outputs:
            if value in written or value.is_constant:
                raise ValueError(
                    f"the subgraph {subgraph.name!r} must write the value "
                    f"{value.name!r} once. Received: {operation.kind} that "
                    "writes an input, a constant or what was written before."
                )
            written.add(value)


def _check_no_recursion(waiting: dict[Subgraph, set[Subgraph]]) -> None:
    while waiting:
        ready = {subgraph for subgraph, runs in waiting.items() if not runs}
        if not ready:
            names = [subgraph.name for subgraph in waiting]
            raise ValueError(
                f"a subgraph must not run itself. Received: {names[:8]}."
            )
        waiting = {
            subgraph: runs - ready
            for subgraph, runs in waiting.items()
            if subgraph not in ready
        }
