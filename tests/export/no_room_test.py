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
"""Where nothing more can be written, an error says so and all is as it was."""

import os
import textwrap

PROGRAM = """
    import json, os, pathlib, resource
    import keras
    import numpy as np
    import tfmot_sapp as sapp

    x = np.ones((8, 16), np.float32)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    pruned = sapp.prune_blocks(
        model, sapp.ConstantSparsity(0.5, 0), (4, 4),
        pruning_policy=sapp.MinimumBlocks(1))
    pruned.compile("sgd", "mse", run_eagerly=True)

    def fit(**settings):
        pruned.fit(x, x, epochs=2, verbose=0, callbacks=[
            sapp.UpdatePruningStep(),
            sapp.PruningSummaries(settings.pop("log_dir"), **settings)])

    JOBS = {
        "m.tflite": lambda: sapp.export_tflite(
            keras.models.clone_model(model), "m.tflite"),
        "served": lambda: sapp.export_saved_model(model, "served"),
        "masks.png": lambda: sapp.plot_masks(pruned, "masks.png"),
        "logs": lambda: fit(log_dir="logs"),
    }

    def content():
        return {str(path): path.is_file() and path.read_bytes()
                for path in pathlib.Path().rglob("*")}

    def attempts(limit):
        before = content()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        for name, job in JOBS.items():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            error = None
            try:
                job()
            except Exception as caught:
                error = caught
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            assert isinstance(error, ValueError), (name, limit, error)
            assert "can't be written" in str(error), (name, limit, error)
            # A converter's files are temporary ones.
            temporary = "TMPDIR" in str(error)
            assert name in str(error) or temporary, (name, limit, error)
            assert "\\n" not in str(error), (name, limit, error)
            assert content() == before, (name, limit, error)

    attempts(0)
    assert not content()
    for name, job in JOBS.items():
        job()
    attempts(0)
    # An event file that is being written is left with what is whole in it.
    del JOBS["logs"]
    attempts(300)
"""


def test_no_room_leaves_all_as_it_was(forks, tmp_path):
    done = forks.run(textwrap.dedent(PROGRAM), cwd=tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(os.listdir(tmp_path)) == [
        "logs",
        "m.tflite",
        "masks.png",
        "served",
    ]
