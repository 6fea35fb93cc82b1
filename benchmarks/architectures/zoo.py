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
"""Prints what becomes of real architectures, in their full sizes.

For each: kernels pruned and their share of the weights in matrices, errors of
the wrapped and of the stripped model, whether the class is kept, the share of
units that `prune_structured` may remove, seconds of the processor and memory.
Each runs in a process of its own.

    python -m benchmarks.architectures.zoo
    python -m benchmarks.architectures.zoo --only=Gemma,Llama
"""

import math
import resource
import subprocess
import sys
import time
from typing import Any

import keras
import tf_keras
from absl import app, flags

from benchmarks.architectures.applications import APPLICATIONS
from benchmarks.architectures.attempt import attempt
from benchmarks.architectures.language import LANGUAGE
from benchmarks.architectures.user_models import user_models
from benchmarks.architectures.vision import VISION
from tfmot_sapp.base.tables import render
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.layers.axes import OUT
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import is_model
from tfmot_sapp.units.groups import find_groups

_ONLY = flags.DEFINE_list("only", [], "Names of architectures; all by default.")
_SIZE = flags.DEFINE_enum("size", "full", ["small", "full"], "Their size.")
_ROW = flags.DEFINE_string("row", "", "The one whose row is printed, raw.")

_HEAD = ("architecture", "M params", "kernels", "share", "wrapped", "stripped")
_HEAD += ("class", "units", "CPU s", "MiB")


def architectures() -> dict[str, Any]:
    """Returns all architectures by name."""
    every = (
        *APPLICATIONS,
        *LANGUAGE,
        *VISION,
        *user_models(keras),
        *user_models(tf_keras),
    )
    return {architecture.name: architecture for architecture in every}


def _row(name: str) -> list[str]:
    architecture = architectures()[name]
    model = architecture.make(_SIZE.value)
    begin = time.process_time()
    findings = attempt(
        architecture, _SIZE.value, 32 if _SIZE.value == "full" else 8
    )
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        name,
        f"{model.count_params() / 1e6:.1f}",
        f"{findings.kernels}",
        f"{100 * findings.share:.0f} %",
        f"{findings.wrapped_error:.1e}",
        f"{findings.stripped_error:.1e}",
        "kept" if findings.class_kept else "LOST",
        _share_of_units(model),
        f"{seconds:.1f}",
        f"{peak:.0f}",
    ]


def _share_of_units(model: Any) -> str:
    """Returns the share of the hidden units that form groups."""
    if not is_graph(model):
        return "no graph"
    groups = find_groups(model)
    covered = sum(group.units for group in groups.groups)
    alone = sum(
        math.prod(
            extent
            for extent, role in zip(kernel.shape, kernel.roles)
            if role == OUT
        )
        for layer in flatten_layers(model)
        if layer.name in groups.left_alone and not is_model(layer)
        for kernel in find_kernels(layer)[:1]
    )
    total = covered + alone
    return f"{100 * covered / total:.0f} %" if total else "none"


def main(argv: list[str]) -> None:
    """Prints the table."""
    del argv
    if _ROW.value:
        print("\t".join(["ROW", *_row(_ROW.value)]))
        return
    rows = []
    for name in _ONLY.value or architectures():
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name]
            + [f"--row={name}", f"--size={_SIZE.value}"],
            capture_output=True,
            text=True,
        )
        found = [x for x in done.stdout.splitlines() if x.startswith("ROW\t")]
        if found:
            rows.append(found[0].split("\t")[1:])
        else:
            why = done.stderr.strip().splitlines()[-1:] or ["no output"]
            rows.append([name, why[0][:60], *[""] * (len(_HEAD) - 2)])
        print("  ".join(rows[-1]), flush=True)
    print(render(_HEAD, rows, numeric=range(1, len(_HEAD))))


if __name__ == "__main__":
    app.run(main)
