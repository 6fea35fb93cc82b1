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
"""A user's terminal shows what was asked for, and nothing else.

Everything runs in processes of their own, with TensorFlow's own messages on:
those of its import, of the search for devices and of the first use of XLA come
before a marker.
"""

import os
import subprocess
import sys
import textwrap

import pytest

import tfmot_sapp as sapp

HEAD = """
    import os, sys, threading
    import {keras} as keras
    import numpy as np, tensorflow as tf
    import tfmot_sapp as sapp

    x = np.random.default_rng(0).normal(size=(64, 32)).astype("float32")
    y = np.zeros((64, 8), "float32")
    inputs = keras.Input((32,), name="x")
    hidden = keras.layers.Dense(64, activation="relu", name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(8)(hidden))
    model(x)
    wide = keras.Sequential(
        [keras.Input((256,)), keras.layers.Dense(256), keras.layers.Dense(8)])
    tf.function(lambda: tf.constant(1.0) + 1.0, jit_compile=True)()
    sys.stderr.write("BEGIN\\n")
    sys.stderr.flush()
"""

EVERY_VERB = """
    options = dict(block_size=(8, 8), pruning_policy=sapp.MinimumBlocks(1))
    schedule = sapp.SequentialAttentionSchedule(0.5, 8)
    pruned = sapp.prune_blocks(model, schedule, **options)
    pruned.compile("adam", "mse")
    pruned.fit(
        x, y, batch_size=16, epochs=2, verbose=0,
        callbacks=[sapp.UpdatePruningStep(), sapp.PruningSummaries("logs")],
    )
    pruned.save("pruned.keras")
    with sapp.prune_scope():
        keras.models.load_model("pruned.keras")
    stripped = sapp.strip_pruning(pruned)
    report = sapp.report(stripped)
    sapp.plot_masks(pruned, "masks.png")
    sapp.recommended(0.5, 9)["pruning_schedule"].plot("schedule.png")
    sapp.count_flops(model), sapp.find_groups(model)
    sapp.latency_block_size(wide.layers[0])
    plan = sapp.plan_pruning(
        wide, sapp.LatencyBudget(1.2), data=np.ones((8, 256), "float32")
    )
    calls = dict(options, verbose=False)
    trained = sapp.prune_post_training(
        model, x, 0.5, distill=sapp.Distillation(2), **calls
    )
    family = sapp.prune_family(model, x, [0.25, 0.5], **calls)
    smaller = sapp.prune_structured(
        model, x, 0.5, refit=sapp.Reconstruct(2), verbose=False
    )
    packed = sapp.pack_blocks(stripped)
    tuned = sapp.pack_blocks(stripped, tune=sapp.Tuning(seconds=0.1))
    for quantize in (None, "float16", "dynamic_int8", "int8"):
        sapp.export_tflite(
            packed, "packed.tflite", quantize=quantize, representative_data=x
        )
    sapp.export_tflite(stripped, "dense.tflite")
    sapp.export_tflite(stripped, "whole.tflite", pack=True)
    sapp.pack_tflite("dense.tflite", "again.tflite")
    sapp.export_saved_model(packed, "served", representative_data=x)
    result = sapp.benchmark(
        {"dense": "dense.tflite", "packed": "packed.tflite"}, rounds=2
    )
    result.plot("times.png")
    threads = os.cpu_count()
    sapp.benchmark({"served": "served"}, threads=threads, rounds=2)
    try:
        inverse = keras.layers.Lambda(tf.linalg.inv)
        square = keras.Input((4, 4))
        sapp.export_tflite(keras.Model(square, inverse(square)), "x.tflite")
    except ValueError:
        pass
    print(report)
"""

TWO_THREADS = """
    os.mkdir("threads")
    packed = sapp.pack_blocks(model)
    failures = []
    sys.stderr.write("THREADS\\n")
    sys.stderr.flush()

    def export(number):
        try:
            for kind in ("dynamic_int8", None):
                path = f"threads/{number}.tflite"
                sapp.export_tflite(packed, path, quantize=kind)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=export, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sys.stderr.write("beside\\n")
        threads[0].join(0.05)
    for thread in threads:
        thread.join()
    sys.stderr.write("after\\n")
    assert not failures, failures
"""


def test_the_program_has_every_verb():
    verbs = [name for name in sapp.__all__ if name.islower()]

    assert [n for n in verbs if f"sapp.{n}(" not in EVERY_VERB] == []


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def said(request, fresh_environment, tmp_path_factory):
    """What a process says that runs everything, and its threads' folder."""
    folder = tmp_path_factory.mktemp(request.param)
    program = HEAD.format(keras=request.param) + EVERY_VERB + TWO_THREADS
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    environment = {
        **fresh_environment,
        "PYTHONPATH": root,
        "MPLBACKEND": "agg",
    }
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    _, _, errors = done.stderr.partition("BEGIN\n")
    verbs, _, threads = errors.partition("THREADS\n")
    return done.stdout, verbs, threads, folder / "threads"


def test_every_verb_is_silent(said):
    shown, errors, _, _ = said

    # tf_keras measures callbacks beside steps that take no time here.
    slow = "is slow compared to the batch time"
    assert [line for line in errors.splitlines() if slow not in line] == []
    lines = shown.splitlines()
    assert lines[0].split()[0] == "layer"
    assert "Calibrating" not in shown


def test_threads_that_export_at_once_keep_standard_error(said):
    _, _, errors, folder = said

    lines = errors.splitlines()
    assert set(lines) == {"beside", "after"}
    assert lines[-1] == "after"
    assert sorted(os.listdir(folder)) == ["0.tflite", "1.tflite"]
