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
"""Models are timed in turns, and the numbers are those of the files."""

import json
import os

import keras
import numpy as np
import pytest

from tfmot_sapp.export.benchmark.benchmark import benchmark
from tfmot_sapp.export.benchmark.interleave import interleave
from tfmot_sapp.export.saved_model import export_saved_model
from tfmot_sapp.export.tflite.file import export_tflite


def mlp(width):
    inputs = keras.Input((64,), name="x")
    hidden = keras.layers.Dense(width, activation="relu")(inputs)
    hidden = keras.layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(4)(hidden))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = {"wide": folder / "wide.tflite", "narrow": folder / "narrow.tflite"}
    for name, width in (("wide", 1024), ("narrow", 64)):
        export_tflite(mlp(width), paths[name])
    return paths


def test_the_faster_model_is_faster(files):
    result = benchmark(files, rounds=10)

    wide, narrow = result.timings
    assert (wide.name, wide.speed_up) == ("wide", 1.0)
    assert narrow.speed_up > 3
    assert narrow.median_ms < wide.median_ms
    assert wide.low_ms <= wide.median_ms <= wide.high_ms
    assert wide.size == os.path.getsize(files["wide"])
    assert (wide.num_ops, wide.num_partitions) == (3, 1)


def test_larger_batches_take_longer(files):
    one = benchmark({"wide": files["wide"]}, rounds=5)
    many = benchmark({"wide": files["wide"]}, rounds=5, batch_size=64)

    assert many.batch_size == 64
    assert many.timings[0].median_ms > 2 * one.timings[0].median_ms


def test_results_print_and_are_drawn(files, tmp_path):
    result = benchmark(files, rounds=3)

    result.plot(tmp_path / "times.png")

    assert "narrow" in str(result)
    assert "1 thread" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["rounds"] == 3
    assert (tmp_path / "times.png").read_bytes()[:4] == b"\x89PNG"
    assert os.listdir(tmp_path) == ["times.png"]


def test_saved_models_run_on_tensorflow(tmp_path):
    export_saved_model(mlp(8), tmp_path / "plain")
    export_saved_model(mlp(8), tmp_path / "compiled", jit_compile=True)
    paths = {"plain": tmp_path / "plain", "compiled": tmp_path / "compiled"}

    with pytest.raises(ValueError, match="`threads`"):
        benchmark(paths, threads=(os.cpu_count() or 1) + 1)
    result = benchmark(paths, threads=os.cpu_count(), rounds=3)

    assert result.runtime == "TensorFlow"
    assert all(t.median_ms > 0 for t in result.timings)


@pytest.mark.parametrize(
    "arguments",
    [{"threads": 0}, {"batch_size": -1}, {"rounds": 0}, {"rounds": 2.5}],
)
def test_counts_are_checked(files, arguments):
    (name,) = arguments

    with pytest.raises((TypeError, ValueError), match=f"`{name}`.*Received"):
        benchmark(files, **arguments)


def test_other_than_models_are_refused(files, tmp_path):
    (tmp_path / "text.tflite").write_text("no model")

    with pytest.raises(TypeError, match="`models`"):
        benchmark([files["wide"]])
    with pytest.raises(TypeError, match="`models`"):
        benchmark({})
    with pytest.raises(TypeError, match="`models`"):
        benchmark({"a": 3})
    with pytest.raises(ValueError, match="doesn't exist"):
        benchmark({"a": tmp_path / "nothing.tflite"})
    with pytest.raises(ValueError, match="can load"):
        benchmark({"a": tmp_path / "text.tflite"})
    with pytest.raises(ValueError, match="either all"):
        benchmark({"a": files["wide"], "b": tmp_path})
    with pytest.raises(ValueError, match="SavedModels.*Received"):
        benchmark({"b": tmp_path}, threads=os.cpu_count())


def test_every_round_times_every_function_in_a_new_order():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}

    times = interleave(calls, rounds=20, seed=1)

    assert all(len(seconds) == 20 for seconds in times.values())
    ordered = [k for i, k in enumerate(order) if i == 0 or order[i - 1] != k]
    assert len(ordered) > 30
    assert len({tuple(ordered[i : i + 3]) for i in range(9, 40)}) > 3
    assert np.all(np.array(list(times.values())) > 0)
