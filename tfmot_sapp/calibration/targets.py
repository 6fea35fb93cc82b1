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
"""Which kernels of a model are pruned after training."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmot_sapp.base.patterns import check_patterns
from tfmot_sapp.blocks.block_size import (
    BlockSize,
    BlockSizeLike,
    resolve_block_size,
)
from tfmot_sapp.calibration.fitting import Target
from tfmot_sapp.calibration.layers import (
    Around,
    Blocks,
    Candidate,
    candidates,
    what_follows,
)
from tfmot_sapp.calibration.programs import Program
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.frameworks.kernels import why_skip
from tfmot_sapp.frameworks.policies import is_allowed
from tfmot_sapp.frameworks.private.attention import last_layer_of


def find_targets(
    programs: Sequence[Program],
    policy: Any,
    block_size: BlockSizeLike,
    wanted: WantedSparsity,
) -> tuple[list[Target], dict[str, str]]:
    """Returns the kernels that are pruned, and why others are not.

    Args:
        programs: The calls of the original and of the copy that is pruned.
        policy: Which layers are pruned, with TF-MOT's `PruningPolicy` protocol.
        block_size: The blocks of each layer.
        wanted: The sparsity of each kernel.

    Returns:
        The kernels in order of execution, and reasons by the names in reports.

    Raises:
        ValueError: If there are none, or something is given by a name that no
            kernel has.
    """
    original, copy = programs
    found, reasons = candidates(original)
    layers = {candidate.layer.name for candidate in found}
    names = {candidate.name for candidate in found}
    if isinstance(block_size, Mapping):
        check_patterns(block_size, layers | reasons.keys(), "block_size")
    wanted.check_names(names | reasons.keys(), layers)
    targets = []
    for candidate, mine in zip(found, candidates(copy)[0]):
        size = resolve_block_size(
            block_size, candidate.layer.name, candidate.layer
        )
        why = _why_left_alone(candidate, size, policy, wanted)
        if why is not None or size is None:
            reasons[candidate.label] = why or _NO_SIZE
            continue
        around = _around(original, candidate)
        norm = None if around.norm is None else copy.steps[around.norm].layer
        targets.append(
            Target(
                candidate.name,
                candidate.label,
                candidate.layer.name,
                candidate.step,
                candidate.kernel.owner,
                Blocks.of(mine.kernel, mine.kernel.grid(size)),
                norm,
                around,
            )
        )
    if not targets:
        raise ValueError(nothing_to_prune(reasons))
    return targets, reasons


_NO_SIZE = "no block size given for it"


def _why_left_alone(
    candidate: Candidate,
    size: BlockSize | None,
    policy: Any,
    wanted: WantedSparsity,
) -> str | None:
    if size is None:
        return _NO_SIZE
    if not is_allowed(policy, candidate.layer):
        return f"not allowed by {type(policy).__name__}"
    if not wanted.is_given(candidate.label, candidate.layer.name):
        return "no sparsity given for it"
    return why_skip(candidate.kernel, size, getattr(policy, "min_blocks", 1))


def _around(program: Program, candidate: Candidate) -> Around:
    step = program.steps[candidate.step]
    if candidate.kernel.owner is not last_layer_of(step.layer):
        return Around(None, ())
    return what_follows(program, candidate.step)


def nothing_to_prune(reasons: Mapping[str, str]) -> str:
    """Returns the message of an error: nothing is pruned, and why."""
    listed = "; ".join(f"`{name}`: {why}" for name, why in reasons.items())
    return (
        "`model` has no layer that can be pruned. Received: "
        f"{listed or 'layers without weights'}. Choose a smaller `block_size`, "
        "or a `pruning_policy` that allows fewer blocks, such as "
        "`tfmot_sapp.MinimumBlocks(1)`."
    )
