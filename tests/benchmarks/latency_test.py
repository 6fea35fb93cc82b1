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
"""The latency benchmarks: going on after a stop, masks, tables, pictures."""

import json
import lzma
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from litert_graphs import GraphBuilder

from benchmarks.latency import networks, threads
from benchmarks.latency import whole_networks_report as report
from benchmarks.latency.layer_forms import BlockedLayer
from benchmarks.latency.layer_shapes import held_out
from benchmarks.latency.layers_report import COLUMNS
from benchmarks.latency.least_times import PRODUCTS, alone, until_products
from benchmarks.latency.masked_networks import interpreter_of
from benchmarks.latency.thread_files import converted
from benchmarks.shared.csv_rows import append_row, read_rows
from tfmot_sapp.compiler.readers.tflite import read_tflite

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def run(forks):
    def run(program, *options):
        done = forks.module(f"benchmarks.latency.{program}", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_rows_survive_half_a_line(tmp_path):
    path = tmp_path / "folder" / "rows.csv"
    assert read_rows(path, ("a", "b")) == []
    append_row(path, ("a", "b"), {"a": 1, "b": "x,y"})
    with path.open("a") as file:
        file.write("2")
    assert read_rows(path, ("a", "b")) == [{"a": "1", "b": "x,y"}]
    append_row(path, ("a", "b"), {"a": 3, "b": ""})
    assert path.read_text() == 'a,b\n1,"x,y"\n3,\n'
    with pytest.raises(ValueError, match="must have the columns"):
        read_rows(path, ("a", "c"))


def test_a_layer_beside_dense_and_again_for_nothing(run, tmp_path):
    options = (
        f"--output_dir={tmp_path}",
        "--layers=criteo/hidden",
        "--blocks=64",
        "--sparsities=0.9",
        "--rounds=3",
    )
    run("layers", *options)
    path = tmp_path / "layers.csv"
    written = path.read_bytes()
    assert written.count(b"\n") == 2
    assert (tmp_path / "layers.png").stat().st_size > 10_000
    assert "Criteo MLP" in run("layers", *options)
    assert path.read_bytes() == written

    (row,) = read_rows(path, COLUMNS)
    assert 0 <= float(row["max_error"]) < 1e-4
    # 49 blocks of ragged sizes, 5 of which are kept.
    assert 0.05 < float(row["density"]) < 0.15
    assert float(row["of_ideal"]) == pytest.approx(
        float(row["speed_up"]) / float(row["ideal"]), rel=0.01
    )


def test_held_out_layers_are_within_their_bounds():
    cells = list(held_out(40, seed=3))
    assert cells == list(held_out(40, seed=3))
    assert len({cell.layer for cell in cells}) > 35
    for cell in cells:
        layer = cell.layer
        assert min(layer.inputs, layer.outputs) >= 128
        assert max(layer.inputs, layer.outputs) <= 4096
        assert cell.block in (32, 64) and 0.85 <= cell.sparsity <= 0.9
        assert 1 <= layer.batch <= 128
    assert sum(cell.layer.taps == 0 for cell in cells) == 20


def test_masks_leave_every_output_block_a_block():
    for name in ("criteo_20x20", "feed_forward_1_token_32x32"):
        network = networks.NETWORKS[name]
        model, density = networks.prune_at_random(network)
        before = after = 0
        for layer in model.layers[1:]:
            kernel = layer.kernel.numpy()
            side = network.block[0]
            starts = [np.arange(0, n, side) for n in kernel.shape]
            blocks = np.add.reduceat(abs(kernel), starts[0], axis=0)
            kept = np.add.reduceat(blocks, starts[1], axis=1) > 0
            assert kept.any(axis=0).all(), name
            if network.balanced:
                assert len(set(kept.sum(axis=0))) == 1, name
            before += kernel.size
            after += np.count_nonzero(kernel)
        assert density == pytest.approx(after / before)


def test_forms_of_a_layer_are_measured_and_not_again(tmp_path):
    """With nothing but NumPy and LiteRT in the measuring process."""
    layer = BlockedLayer("small", 64, 32, 1, 4, (8, 8), 4)
    folder = tmp_path / "files"
    forms = {}
    for name, form in layer.forms():
        forms[name] = 1
        path = folder / "small" / f"{name}.tflite.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(converted(form)))
    groups = [{"name": "small", "kind": "layer", "forms": forms}]
    (folder / "groups.json").write_text(json.dumps(groups))
    script = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'absl', 'rich', 'tfmot_sapp'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks.latency import threads\n"
        "threads.main()\n"
    )
    options = (f"--folder={folder}", "--threads=1,2", "--seconds=2")
    output = tmp_path / "threads.csv"
    # The first run may have no time for all; the last has nothing to do.
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script, *options, f"--output={output}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
    rows = read_rows(output, threads.COLUMNS)
    assert len(rows) == 2 * len(forms)
    assert {row["form"] for row in rows} >= {"dense", "grouped", "diagonal"}
    assert all(float(row["median_us"]) > 0 for row in rows)


def test_forms_compute_the_same_layer():
    """As many multiply-adds, from the inputs that are read."""
    layer = BlockedLayer("small", 64, 32, 0, 4, (8, 8), 4)
    x = np.ones((4, 64), np.float32)
    for name, (function, shapes) in layer.forms():
        given = [x[:, : shape[-1]] for shape in shapes]
        made = function(*given)
        outputs = made if isinstance(made, list) else [made]
        assert sum(int(y.shape[-1]) for y in outputs) == 32, name
        assert np.all(np.isfinite(np.concatenate(outputs, -1)))


def network_row(**values):
    row = {
        "network": "resnet50_32x32",
        "threads": "1",
        "quantize": "float32",
        "tuned": "False",
        "seed": "0",
        "block": "32x32",
        "sparsity": "0.9",
        "batch": "1",
        "mac_density": "0.25",
        "ideal": "4",
        "dense_ms": "40",
        "packed_ms": "10",
        "encoded_ms": "41",
        "speed_up": "3.0",
        "encoded_speed_up": "0.98",
        "of_ideal": "0.75",
        "dense_bytes": "100000000",
        "packed_bytes": "20000000",
        "encoded_bytes": "30000000",
        "partitions": "4",
        "export_seconds": "50",
        "export_peak_gb": "2.5",
        "error": "1e-6",
        "lowerings": "list:50",
    }
    return row | values


def test_seeds_are_put_together(tmp_path):
    rows = [
        network_row(speed_up="2.5", seed="2"),
        network_row(speed_up="3.5", seed="1", export_peak_gb="3.5"),
        network_row(),
        network_row(quantize="int8", encoded_ms="", speed_up="0.8"),
    ]
    first, second = report.grouped(rows)
    assert len(first) == 3 and second == rows[3:]
    lines = report.speed_table(rows).splitlines()
    (line,) = (line for line in lines if "3.00x (2.50-3.50)" in line)
    assert "3.2x" in line and "0.98x" in line
    (line,) = (line for line in lines if "int8" in line)
    assert "3.2x" not in line and "0.80x" in line
    assert " 3.5 " in report.file_table(rows)
    report.draw(rows, tmp_path / "networks.png")
    assert (tmp_path / "networks.png").read_bytes().startswith(b"\x89PNG")


def product_of(x, operation):
    _, kernel, bias = operation.inputs
    made = x @ kernel.contents.T
    return made if bias is None else made + bias.contents


def test_products_alone_read_what_is_given():
    b = GraphBuilder(0)
    x = b.input(4, 16)
    content = b.file([b.dense(b.unary("TANH", b.dense(x, 24)), 32)])

    found = alone(content, PRODUCTS)

    main = read_tflite(found).main
    assert [each.kind for each in main.operations] == ["FULLY_CONNECTED"] * 2
    assert [value.shape for value in main.inputs] == [(4, 16), (4, 24)]
    assert [value.shape for value in main.outputs] == [(4, 24), (4, 32)]
    interpreter = interpreter_of(found, 1)
    interpreter.invoke()
    inputs = [
        interpreter.get_tensor(each["index"])
        for each in interpreter.get_input_details()
    ]
    outputs = [
        interpreter.get_tensor(each["index"])
        for each in interpreter.get_output_details()
    ]
    for given, operation, made in zip(inputs, main.operations, outputs):
        expected = product_of(given, operation)
        np.testing.assert_allclose(made, expected, atol=1e-5)
    assert alone(content, ("CONCATENATION",)) == b""


def test_a_file_until_its_products_ends_with_them():
    b = GraphBuilder(0)
    x = b.input(4, 16)
    first = b.dense(b.unary("TANH", x), 24)
    content = b.file([b.unary("ABS", b.dense(b.unary("TANH", first), 32))])

    found = read_tflite(until_products(content)).main

    kinds = [each.kind for each in found.operations]
    assert kinds == ["TANH", "FULLY_CONNECTED"] * 2
    assert [value.shape for value in found.inputs] == [(4, 16)]
    assert [value.shape for value in found.outputs] == [(4, 24), (4, 32)]
    given = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
    interpreter = interpreter_of(until_products(content), 1)
    (place,) = interpreter.get_input_details()
    interpreter.set_tensor(place["index"], given)
    interpreter.invoke()
    expected = given
    for operation, each in zip(
        found.operations[1::2], interpreter.get_output_details()
    ):
        expected = product_of(np.tanh(expected), operation)
        made = interpreter.get_tensor(each["index"])
        np.testing.assert_allclose(made, expected, atol=1e-5)
    b = GraphBuilder(0)
    assert until_products(b.file([b.unary("TANH", b.input(4, 16))])) == b""
