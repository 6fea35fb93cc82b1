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
"""Loads what `attempt` has saved, with nothing but `import tfmot_sapp`.

Prints a line for each file: its name and the largest error of the outputs.

    python -m benchmarks.architectures.load keras FOLDER...
"""

import importlib
import pathlib
import pickle
import sys

import numpy as np
import tensorflow as tf

import tfmot_sapp  # noqa: F401

if __name__ == "__main__":
    keras = importlib.import_module(sys.argv[1])
    for folder in map(pathlib.Path, sys.argv[2:]):
        inputs, expected = pickle.loads((folder / "data").read_bytes())
        for kind in ("stripped", "wrapped"):
            model = keras.models.load_model(
                folder / f"{kind}.keras", compile=False
            )
            tensors = tf.nest.map_structure(tf.constant, inputs)
            found = tf.nest.flatten(model(tensors, training=False))
            error = max(
                float(np.max(np.abs(e - np.asarray(f)), initial=0.0))
                / (float(np.max(np.abs(e), initial=0.0)) + 1e-12)
                for e, f in zip(expected, found)
            )
            print(f"{folder.name}/{kind} {error:.3g}")
