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
"""Public names and their signatures stay as they are."""

import inspect

import tfmot_sapp as sapp

SIGNATURES = {
    "ACDCSchedule": (
        "target_sparsity, end_step, begin_step=0, dense_fraction=0.1, "
        "cycles=6, cycles_fraction=0.6, sparse_share=0.5, "
        "last_sparse_fraction=0.05, last_dense_fraction=0.1, "
        "reset_optimizer=True"
    ),
    "ACDCSchedule.official": "target_sparsity, end_step, **options",
    "Allocation": "",
    "BalancedAllocation": "targets=None, keep_readers=False",
    "BlockSwaps": (
        "pruning_schedule, fraction=0.2, frequency=100, last_swap=None"
    ),
    "CoSaMP": "iterations=20",
    "ConnectedAllocation": "allocation=None",
    "ConstantSparsity": (
        "target_sparsity, begin_step, end_step=-1, frequency=100"
    ),
    "Criterion": "",
    "DiffPrune": "transformation='moments', stochastic=False, penalty=0.1",
    "EarlyRamp": (
        "target_sparsity, end_step, begin_step=0, ramp_begin=0.05, "
        "ramp_end=0.4, power=6.0, frequency=None"
    ),
    "FlopsBudget": "budget",
    "GlobalAllocation": "min_density=0.0",
    "GreedyForward": "",
    "GroupLasso": "strength, block_size",
    "GroupLog": "strength, block_size",
    "GroupPower": "strength, block_size, power=0.6666666666666666",
    "HardConcrete": "penalty=0.1, drop_rate=0.5",
    "ISpaSP": "iterations=20",
    "KeepZeros": "",
    "KernelView": (
        "grid, kernel, mask, state, target_sparsity=None, slots=<factory>"
    ),
    "LearnedSparsity": "end_step, frequency=20",
    "Magnitude": "order=2.0",
    "MinimumBlocks": "min_blocks=100",
    "Movement": "",
    "OSSCAR": "swaps=0.1",
    "OneShot": (
        "target_sparsity, end_step, begin_step=0, dense_fraction=0.5, "
        "reset_optimizer=False"
    ),
    "ParameterBudget": "budget",
    "PolynomialDecay": (
        "initial_sparsity, final_sparsity, begin_step, end_step, power=3, "
        "frequency=100"
    ),
    "PowerPropagation": "alpha=2.0, elementwise=False",
    "PruneBlocks": (
        "layer, pruning_schedule, block_size=(32, 32), scorer=None, "
        "allocation=None, min_blocks=1, **kwargs"
    ),
    "PruningSchedule": "",
    "PruningSummaries": "log_dir, update_freq='epoch'",
    "Reconstruct": "steps=500, batch_size=64, learning_rate=0.003",
    "Scorer": "",
    "SecondMoment": "",
    "SequentialAttention": (
        "logit_scale=5.0, clip=True, per_output=False, times=None"
    ),
    "SequentialAttentionSchedule": (
        "target_sparsity, end_step, begin_step=0, dense_fraction=0.1, "
        "cycles=3, cycles_fraction=0.4, cycle_shares=(1, 1, 1), "
        "ramp_fraction=0.2, steepness=4.0, frequency=None, "
        "reset_optimizer=False"
    ),
    "SequentialAttentionSchedule.criteo": (
        "target_sparsity, end_step, **options"
    ),
    "SequentialAttentionSchedule.imagenet": (
        "target_sparsity, end_step, **options"
    ),
    "StateSpec": "shape, initial=0.0, trainable=False, dtype='float32'",
    "SteppedSchedule": "target_sparsity, end_step, begin_step=0",
    "Taylor": "decay=0.99",
    "ThiNet": "",
    "TopActivation": "",
    "Tuning": "threads=1, quantize=None, representative_data=None, seconds=4.0",
    "UniformAllocation": "targets=None, keep_readers=False",
    "UnitMagnitude": "",
    "Update": "step, sparsity, phase, swap=0.0",
    "UpdatePruningStep": "optimizer=None",
    "benchmark": "models, threads=1, batch_size=1, rounds=50, seed=0",
    "count_flops": "model",
    "export_saved_model": (
        "model, path, jit_compile=False, input_signature=None, "
        "representative_data=None"
    ),
    "export_tflite": (
        "model, path, quantize=None, representative_data=None, encoding=None, "
        "batch_size=1, input_signature=None, io_dtype='float32', "
        "max_samples=512, tolerance=None"
    ),
    "find_groups": "model",
    "latency_block_size": "layer",
    "pack_blocks": "model, batch_size=1, tune=None",
    "plot_masks": "model, path=None",
    "prune_blocks": (
        "to_prune, pruning_schedule, block_size=(32, 32), scorer=None, "
        "allocation=None, pruning_policy=None"
    ),
    "prune_scope": "",
    "prune_structured": (
        "model, data, keep, criterion=None, refit=False, rounds=1, "
        "fine_tune=None, batch_size=64, verbose=True"
    ),
    "recommended": "target_sparsity, end_step, second_moments=True",
    "report": "model",
    "strip_pruning": "model",
}


def parameters(made):
    """Returns a signature without annotations."""
    return ", ".join(
        str(parameter.replace(annotation=inspect.Parameter.empty))
        for parameter in inspect.signature(made).parameters.values()
    )


def test_the_names_are_still_there():
    names = {name.partition(".")[0] for name in SIGNATURES}

    assert names <= set(sapp.__all__)


def test_the_signatures_are_the_same():
    for name, expected in SIGNATURES.items():
        made = sapp
        for part in name.split("."):
            made = getattr(made, part)
        assert parameters(made) == expected, name
