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
"""The command lines, from a saved model to a picture of its speed."""

import io
import os
import zipfile

import keras
import numpy as np
import pytest
import tf_keras

import tfmot_sapp as sapp
from tfmot_sapp.cli.arrays import read_arrays
from tfmot_sapp.frameworks.loading import load_model


def pruned(framework):
    generator = np.random.default_rng(0)
    inputs = framework.Input((256,), name="x")
    outputs = framework.layers.Dense(256, name="a")(inputs)
    model = framework.Model(inputs, outputs)
    kernel, bias = model.get_layer("a").get_weights()
    mask = np.kron(generator.random((8, 8)) < 0.2, np.ones((32, 32)))
    model.get_layer("a").set_weights([kernel * mask, bias])
    return model


@pytest.fixture
def run(forks):
    return forks.module


@pytest.mark.parametrize("framework", [keras, tf_keras])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.filterwarnings("ignore:.*legacy.*")
def test_the_keras_that_wrote_a_model_loads_it(tmp_path, framework, ending):
    path = tmp_path / f"model{ending}"
    pruned(framework).save(path)

    assert isinstance(load_model(path), framework.Model)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "text.keras").write_text("no model")

    with pytest.raises(ValueError, match="`path`.*doesn't exist"):
        load_model(tmp_path / "nothing.keras")
    with pytest.raises(ValueError, match="`path` must be a `.keras`"):
        load_model(tmp_path / "text.keras")
    with pytest.raises(ValueError, match="`path` must be a `.keras`"):
        load_model(tmp_path)


def test_what_never_ends_is_not_read(tmp_path):
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to("loop")
    readers = {
        "source": lambda path: sapp.pack_tflite(path, tmp_path / "new.tflite"),
        "models": lambda path: sapp.benchmark({"a": path}),
        "path": load_model,
        "data": lambda path: read_arrays(path, "data"),
    }

    for name, read in readers.items():
        for path in ("/dev/zero", pipe, loop, tmp_path / "pipe" / "below"):
            with pytest.raises(ValueError, match=f"`{name}.* Received: "):
                read(path)
    assert sorted(os.listdir(tmp_path)) == ["loop", "pipe"]


def test_readers_know_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    sapp.export_tflite(pruned(keras), "~/a.tflite")

    sapp.pack_tflite("~/a.tflite", "~/b.tflite")
    result = sapp.benchmark({"b": "~/b.tflite"}, rounds=1)

    assert result.timings[0].path == f"{tmp_path}/b.tflite"


def test_from_a_saved_model_to_a_picture(run, tmp_path):
    pruned(keras).save(tmp_path / "model.keras")

    packed = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/packed.tflite",
        "--tune",
    )
    dense = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/dense.tflite",
        "--nopack",
    )
    again = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/dense.tflite",
        f"--output={tmp_path}/again.tflite",
    )
    timed = run(
        "tfmot_sapp.benchmark_main",
        tmp_path / "dense.tflite",
        f"[red]new={tmp_path}/packed.tflite",
        "--rounds=3",
        f"--plot={tmp_path}/times.png",
        f"--json={tmp_path}/times.json",
    )

    for done in (packed, dense, again, timed):
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    assert "Packing" in packed.stdout
    assert "blocks kept" in again.stdout
    assert (tmp_path / "again.tflite").stat().st_size < 0.5 * (
        tmp_path / "dense.tflite"
    ).stat().st_size
    assert "dense" in timed.stdout
    assert "[red]new" in timed.stdout
    assert sorted(os.listdir(tmp_path)) == [
        "again.tflite",
        "dense.tflite",
        "model.keras",
        "packed.tflite",
        "times.json",
        "times.png",
    ]


def test_errors_are_one_line_and_not_a_traceback(run, tmp_path):
    pruned(keras).save(tmp_path / "model.keras")

    refused = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path}/int8.tflite",
        "--quantize=int8",
    )

    assert refused.returncode == 1
    assert "`representative_data`" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    assert os.listdir(tmp_path) == ["model.keras"]


def broken(path):
    """Damages a file as a full disk, a bad copy or an editor would."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    yield "cut"
    path.write_bytes(content[:40] + bytes(4000) + content[4040:])
    yield "zeros"
    path.write_bytes(b"")
    yield "empty"
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {n: archive.read(n) for n in archive.namelist()}
        for name in parts:
            with zipfile.ZipFile(path, "w") as archive:
                for each, part in parts.items():
                    archive.writestr(each, part[:50] if each == name else part)
            yield f"cut in {name}"


def check_refused(done, path, what):
    assert done.returncode == 1, (what, done.stdout, done.stderr[-2000:])
    assert len(done.stdout.splitlines()) == 1, (what, done.stdout)
    assert path.name in done.stdout and "again" in done.stdout, what
    assert "Traceback" not in done.stderr, (what, done.stderr)


@pytest.mark.parametrize("framework", [keras, tf_keras])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.filterwarnings("ignore:.*legacy.*")
def test_damaged_models_are_refused_on_one_line(
    run, tmp_path, framework, ending
):
    path = tmp_path / f"model{ending}"
    pruned(framework).save(path)

    for what in broken(path):
        done = run(
            "tfmot_sapp.export_main",
            f"--model={path}",
            f"--output={tmp_path}/new.tflite",
        )

        check_refused(done, path, what)
    assert os.listdir(tmp_path) == [path.name]


def test_damaged_exports_are_refused_on_one_line(run, tmp_path):
    model = pruned(keras)
    file, folder = tmp_path / "model.tflite", tmp_path / "served"
    sapp.export_tflite(model, file)
    sapp.export_saved_model(model, folder)

    for path, part in (file, file), (folder, folder / "saved_model.pb"):
        for what in broken(part):
            done = run("tfmot_sapp.benchmark_main", path, "--rounds=1")

            check_refused(done, path, what)


@pytest.mark.parametrize(
    "name, output, flags",
    [
        ("xla", "new.tflite", ["--xla"]),
        ("threads", "new.tflite", ["--threads=0"]),
        ("batch_size", "new", ["--batch_size=4"]),
        ("batch_size", "new.tflite", ["--batch_size=0"]),
        ("quantize", "new", ["--quantize=int8"]),
        ("encoding", "new", ["--encoding=sparse"]),
        ("tune", "new.tflite", ["--tune", "--nopack"]),
    ],
)
def test_flags_without_effect_are_refused(run, tmp_path, name, output, flags):
    done = run(
        "tfmot_sapp.export_main",
        f"--model={tmp_path}/model.keras",
        f"--output={tmp_path / output}",
        *flags,
    )

    assert done.returncode == 1
    assert f"`{name}` " in done.stdout and "Received" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_flags_that_a_tflite_file_has_no_use_for(run, tmp_path):
    cases = [
        ("quantize", "p.tflite", "--quantize=int8"),
        ("pack", "p.tflite", "--nopack"),
        ("tune", "p.tflite", "--tune"),
        ("batch_size", "p.tflite", "--batch_size=1"),
        ("output", "folder", "--threads=1"),
    ]
    for name, output, flag in cases:
        done = run(
            "tfmot_sapp.export_main",
            f"--model={tmp_path}/m.tflite",
            f"--output={tmp_path / output}",
            flag,
        )

        assert done.returncode == 1
        assert f"`{name}` " in done.stdout, (name, done.stdout)
