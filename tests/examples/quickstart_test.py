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
"""The quickstart runs from end to end, and on TFDS data as well."""

import os

import pytest

DIGITS = """
import runpy
runpy.run_path("examples/quickstart.py", run_name="__main__")
"""

FASHION_MNIST = """
import runpy, sys
import tensorflow_datasets as tfds
sys.argv = ["quickstart.py", *sys.argv[1:]]
with tfds.testing.mock_data(num_examples=64):
    runpy.run_path("examples/quickstart.py", run_name="__main__")
"""


# The fewest units with which a layer has blocks enough.
@pytest.mark.parametrize(
    "dataset, units", [("digits", 320), ("fashion_mnist", 128)]
)
def test_it_prints_the_table_and_writes_the_models(
    dataset, units, forks, tmp_path
):
    flags = [
        f"--dataset={dataset}",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        f"--units={units}",
    ]
    program = DIGITS
    if dataset != "digits":
        pytest.importorskip("tensorflow_datasets")
        program = FASHION_MNIST

    done = forks.run(program, *flags)

    assert done.returncode == 0, done.stderr[-3000:]
    for word in ("test accuracy", "parameters", "x smaller", "x faster"):
        assert word in done.stdout
    assert {"dense.tflite", "pruned.tflite", "masks.png", "saved_model"} <= set(
        os.listdir(tmp_path)
    )
