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
"""Block-sparse Keras models that are smaller and faster where they run.

Wrap, fit, strip, pack, export: see the README.
"""

from tfmot_sapp.acdc_schedule import ACDCSchedule
from tfmot_sapp.allocation import (
    Allocation,
    BalancedAllocation,
    GlobalAllocation,
    UniformAllocation,
)
from tfmot_sapp.block_regularizers import GroupLasso, GroupLog, GroupPower
from tfmot_sapp.block_size import latency_block_size
from tfmot_sapp.block_swaps import BlockSwaps
from tfmot_sapp.callbacks import UpdatePruningStep
from tfmot_sapp.connected_allocation import ConnectedAllocation
from tfmot_sapp.diff_prune import DiffPrune
from tfmot_sapp.early_ramp import EarlyRamp
from tfmot_sapp.export.benchmark import benchmark
from tfmot_sapp.export.pack import pack_blocks
from tfmot_sapp.export.saved_model import export_saved_model
from tfmot_sapp.export.tflite import export_tflite
from tfmot_sapp.export.tuning import Tuning
from tfmot_sapp.flops import count_flops
from tfmot_sapp.hard_concrete import HardConcrete
from tfmot_sapp.keep_zeros import KeepZeros
from tfmot_sapp.keras_wrapper import PruneBlocks
from tfmot_sapp.learned_sparsity import LearnedSparsity
from tfmot_sapp.magnitude import Magnitude
from tfmot_sapp.movement import Movement, Taylor
from tfmot_sapp.one_shot import OneShot
from tfmot_sapp.plot import plot_masks
from tfmot_sapp.policy import MinimumBlocks
from tfmot_sapp.power_propagation import PowerPropagation
from tfmot_sapp.prune import prune_blocks, prune_scope
from tfmot_sapp.recommended import recommended
from tfmot_sapp.report import report
from tfmot_sapp.schedule import SteppedSchedule, Update
from tfmot_sapp.scorer import KernelView, Scorer, StateSpec
from tfmot_sapp.second_moment import SecondMoment
from tfmot_sapp.sequential_attention import SequentialAttention
from tfmot_sapp.sequential_attention_schedule import (
    SequentialAttentionSchedule,
)
from tfmot_sapp.strip import strip_pruning
from tfmot_sapp.structured.criteria import (
    Criterion,
    ISpaSP,
    TopActivation,
    UnitMagnitude,
)
from tfmot_sapp.structured.gram_criteria import (
    OSSCAR,
    CoSaMP,
    GreedyForward,
    ThiNet,
)
from tfmot_sapp.structured.groups import find_groups
from tfmot_sapp.structured.keep import FlopsBudget, ParameterBudget
from tfmot_sapp.structured.prune_structured import prune_structured
from tfmot_sapp.structured.reconstruct import Reconstruct
from tfmot_sapp.summaries import PruningSummaries
from tfmot_sapp.tfmot_schedules import (
    ConstantSparsity,
    PolynomialDecay,
    PruningSchedule,
)

__version__ = "0.1.0"

__all__ = [
    "ACDCSchedule",
    "Allocation",
    "BalancedAllocation",
    "BlockSwaps",
    "CoSaMP",
    "ConnectedAllocation",
    "ConstantSparsity",
    "Criterion",
    "DiffPrune",
    "EarlyRamp",
    "FlopsBudget",
    "GlobalAllocation",
    "GreedyForward",
    "GroupLasso",
    "GroupLog",
    "GroupPower",
    "HardConcrete",
    "ISpaSP",
    "KeepZeros",
    "KernelView",
    "LearnedSparsity",
    "Magnitude",
    "MinimumBlocks",
    "Movement",
    "OSSCAR",
    "OneShot",
    "ParameterBudget",
    "PolynomialDecay",
    "PowerPropagation",
    "PruneBlocks",
    "PruningSchedule",
    "PruningSummaries",
    "Reconstruct",
    "Scorer",
    "SecondMoment",
    "SequentialAttention",
    "SequentialAttentionSchedule",
    "StateSpec",
    "SteppedSchedule",
    "Taylor",
    "ThiNet",
    "TopActivation",
    "Tuning",
    "UniformAllocation",
    "UnitMagnitude",
    "Update",
    "UpdatePruningStep",
    "benchmark",
    "count_flops",
    "export_saved_model",
    "export_tflite",
    "find_groups",
    "latency_block_size",
    "pack_blocks",
    "plot_masks",
    "prune_blocks",
    "prune_scope",
    "prune_structured",
    "recommended",
    "report",
    "strip_pruning",
]
