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
"""The example of pruning after training runs from end to end."""

import os

PROGRAM = """
import runpy
runpy.run_path("examples/post_training.py", run_name="__main__")
"""


def test_it_prints_the_table_and_writes_the_models(forks, tmp_path):
    done = forks.run(
        PROGRAM,
        f"--output_dir={tmp_path}",
        "--epochs=1",
        "--samples=48",
        "--block=32",
        "--sparsity=0.4",
    )

    assert done.returncode == 0, done.stderr[-3000:]
    for words in ("removed", "not made up for", "40%"):
        assert words in done.stdout
    assert set(os.listdir(tmp_path)) == {
        "dense.tflite",
        "pruned_0.4.tflite",
        "masks.png",
    }
