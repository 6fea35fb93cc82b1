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
"""The flags `--accelerator` and `--threads` as a target."""

from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.gpu_target import GpuTarget
from tfmot_sapp.targets.target import Target


def chosen_target(accelerator: str, threads: int) -> Target:
    """Returns the target that two flags mean.

    Args:
        accelerator: `"cpu"` or `"gpu"`.
        threads: Threads of a CPU.

    Raises:
        ValueError: If a GPU is given threads, or `threads` is less than 1.

    Example:

    >>> chosen_target("cpu", 4)
    CpuTarget(threads=4)
    """
    if accelerator == "cpu":
        return CpuTarget(threads)
    if threads != 1:
        raise ValueError(
            "`threads` must be left out for a GPU. "
            f"Received: accelerator={accelerator!r} and threads={threads}."
        )
    return GpuTarget()
