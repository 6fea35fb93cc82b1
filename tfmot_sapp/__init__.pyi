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
"""The public names, each with the module that it is loaded from."""

from .allocations.allocation import Allocation
from .allocations.balanced_allocation import BalancedAllocation
from .allocations.bundled_allocation import BundledAllocation
from .allocations.connected_allocation import ConnectedAllocation
from .allocations.global_allocation import GlobalAllocation
from .allocations.grouped_allocation import GroupedAllocation
from .allocations.uniform_allocation import UniformAllocation
from .export.benchmark.benchmark import benchmark
from .export.saved_model import export_saved_model
from .export.tflite.file import export_tflite
from .export.tuning import Tuning
from .frameworks.flops import count_flops
from .schedules.acdc_schedule import ACDCSchedule
from .schedules.block_swaps import BlockSwaps
from .schedules.early_ramp import EarlyRamp
from .schedules.learned_sparsity import LearnedSparsity
from .schedules.one_shot import OneShot
from .schedules.schedule import SteppedSchedule
from .schedules.sequential_attention_schedule import SequentialAttentionSchedule
from .schedules.tfmot_schedules import (
    ConstantSparsity,
    PolynomialDecay,
    PruningSchedule,
)
from .schedules.updates import Update
from .scorers.diff_prune import DiffPrune
from .scorers.hard_concrete import HardConcrete
from .scorers.magnitude import Magnitude
from .scorers.movement import Movement, Taylor
from .scorers.power_propagation import PowerPropagation
from .scorers.scorer import KernelView, Scorer, StateSpec
from .scorers.second_moment import SecondMoment
from .scorers.sequential_attention import SequentialAttention
from .structured.criteria import Criterion, ISpaSP, TopActivation, UnitMagnitude
from .structured.gram_criteria import OSSCAR, CoSaMP, GreedyForward, ThiNet
from .structured.keep import FlopsBudget, ParameterBudget
from .structured.prune_structured import prune_structured
from .structured.reconstruct import Reconstruct
from .targets.budgets import LatencyBudget, SizeBudget
from .targets.cpu_target import CpuTarget
from .targets.gpu_target import GpuTarget
from .targets.npu_target import NpuTarget
from .training.block_regularizers import GroupLasso, GroupLog, GroupPower
from .training.distillation import Distillation
from .training.keep_zeros import KeepZeros
from .training.keras_wrapper import PruneBlocks
from .training.policy import MinimumBlocks
from .training.pruning_summaries import PruningSummaries
from .training.update_pruning_step import UpdatePruningStep
from .units.groups import find_groups
from .verbs.latency_block_size import latency_block_size
from .verbs.pack import pack_blocks
from .verbs.pack_tflite import pack_tflite
from .verbs.plan import plan_pruning
from .verbs.plot_masks import plot_masks
from .verbs.post_training import prune_family, prune_post_training
from .verbs.prune import prune_blocks, prune_scope
from .verbs.recommended import recommended
from .verbs.report import report
from .verbs.strip import strip_pruning

__version__: str

__all__ = [
    "ACDCSchedule",
    "Allocation",
    "BalancedAllocation",
    "BlockSwaps",
    "BundledAllocation",
    "CoSaMP",
    "ConnectedAllocation",
    "ConstantSparsity",
    "CpuTarget",
    "Criterion",
    "DiffPrune",
    "Distillation",
    "EarlyRamp",
    "FlopsBudget",
    "GlobalAllocation",
    "GpuTarget",
    "GreedyForward",
    "GroupLasso",
    "GroupLog",
    "GroupPower",
    "GroupedAllocation",
    "HardConcrete",
    "ISpaSP",
    "KeepZeros",
    "KernelView",
    "LatencyBudget",
    "LearnedSparsity",
    "Magnitude",
    "MinimumBlocks",
    "Movement",
    "NpuTarget",
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
    "SizeBudget",
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
    "pack_tflite",
    "plan_pruning",
    "plot_masks",
    "prune_blocks",
    "prune_family",
    "prune_post_training",
    "prune_scope",
    "prune_structured",
    "recommended",
    "report",
    "strip_pruning",
]
