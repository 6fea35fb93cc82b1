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
"""How long a model takes once it is packed, by a target's figures."""

from typing import Any

from tfmot_sapp.calibration.savings import Saving, microseconds
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.compiler.analysis.channels import analyse_channels
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.choose.search import Chooser
from tfmot_sapp.compiler.passes.fold_scales import fold_scales
from tfmot_sapp.compiler.passes.fuse_steps import fuse_steps
from tfmot_sapp.compiler.passes.sort_blocks import sort_blocks
from tfmot_sapp.compiler.passes.split_taps import split_taps
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.targets.target import Target


def predicted_microseconds(model: Any, target: Target) -> float:
    """Returns what packing a model as it is would choose by.

    Only what can be packed is counted: products and what joins them.

    Args:
        model: A Functional or Sequential model.
        target: What it runs on.
    """
    costs = target.costs()
    graph = read_graph(model)
    fold_scales(graph)
    fuse_steps(graph)
    sort_blocks(graph, costs.narrowest_piece)
    split_taps(graph, costs)
    channels = analyse_channels(graph, costs.narrowest_piece)
    plan = Plan(channels, target.operators().widest_concatenation)
    chooser = Chooser(graph, plan, 1, costs)
    chooser.run()
    return chooser.total()


def wanted_speedup(model: Any, speedup: float, target: Target) -> Any:
    """Returns what a model is to lose for a speed-up on a target.

    Args:
        model: The copy that is pruned, dense as yet.
        speedup: How many times faster it is to be, above 1.
        target: What it runs on.
    """
    whole = predicted_microseconds(model, target)

    def achieved() -> float:
        return whole - predicted_microseconds(model, target)

    saving = Saving(
        whole * (1 - 1 / speedup), microseconds(target.costs()), achieved
    )
    return WantedSparsity(0.0, None, None, saving=saving)
