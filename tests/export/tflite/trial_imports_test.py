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
"""The process that tries a file loads no more than it needs."""

import subprocess
import sys

from tfmot_sapp.export.tflite import trial


def test_neither_keras_nor_tensorflow_is_loaded_for_it():
    """It costs no seconds beside every file that is packed."""
    libraries = {"flatbuffers", "keras", "tensorflow", "tf_keras"}
    program = (
        f"import {trial.__name__}, sys; print({libraries} & {{*sys.modules}})"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'flatbuffers'}\n"
