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
"""Every recipe runs from end to end on TFDS's mock data."""

import os

import numpy as np
import pytest

from examples.block_pruning.criteo_dataset import read_rows
from examples.structured import networks


def check_models(output, folder):
    for word in ("parameters", "x smaller", "x faster"):
        assert word in output
    assert {"dense.tflite", "pruned.tflite", "masks.png"} <= set(
        os.listdir(folder)
    )


# Of four stages the first and the last, each of one block, a quarter as wide.
SMALL_RESNET = """
from keras.src.applications import resnet

stack = resnet.stack_residual_blocks_v1

def small(x, filters, blocks, **more):
    if more["name"] in ("conv3", "conv4"):
        return x
    return stack(x, filters // 4, 1, **more)

resnet.stack_residual_blocks_v1 = small
"""

# Where a step or two are trained, a graph is not worth its making. The other
# recipes train by graphs, with the same `recipe.fit`.
EAGERLY = """
import functools, keras
keras.Model.compile = functools.partialmethod(
    keras.Model.compile, run_eagerly=True)
"""


def test_imagenet_resnet50(run, tmp_path):
    output = run(
        "block_pruning.imagenet_resnet50",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        "--image_size=32",
        "--min_blocks=16",
        before=SMALL_RESNET,
    )

    assert "validation accuracy" in output
    assert "1 x 1 x 32 x 32" in output
    check_models(output, tmp_path)


def test_bert_encoder(run, tmp_path):
    output = run(
        "block_pruning.bert_encoder",
        f"--output_dir={tmp_path}",
        "--width=64",
        "--heads=2",
        "--blocks=1",
        "--length=8",
        "--vocabulary=100",
        "--block=4",
        "--mixed_precision",
        "--strategy=mirrored",
        "--jit_compile",
        "--nobaseline",
    )

    assert "block_1_attention/query" in output
    assert "block_1_inner" in output
    check_models(output, tmp_path)


def test_fashion_mnist(run, tmp_path):
    output = run(
        "block_pruning.fashion_mnist",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        "--method=SequentialAttention++",
        "--method=hard concrete",
    )

    for word in ("dense", "SequentialAttention++", "hard concrete", "95.0 %"):
        assert word in output


@pytest.mark.parametrize(
    "network, before", [("lenet_300_100", ""), ("lenet_5", EAGERLY)]
)
def test_mnist_lenet(run, network, before, tmp_path):
    output = run(
        "block_pruning.mnist_lenet",
        f"--output_dir={tmp_path}",
        f"--network={network}",
        before=before,
    )

    for word in ("dense", "diff_prune", "hard_concrete", "published"):
        assert word in output


def test_structured_mlp(run, tmp_path):
    output = run(
        "structured.mlp",
        f"--output_dir={tmp_path}",
        "--epochs=1",
        before=EAGERLY,
    )

    for word in ("dense", "i-SpaSP", "OSSCAR", "fine-tuned"):
        assert word in output


def test_structured_imagenet(run, tmp_path):
    output = run(
        "structured.imagenet",
        f"--output_dir={tmp_path}",
        "--network=mobilenet_v2",
        "--image_size=32",
        "--epochs=1",
        before=EAGERLY,
    )

    assert "smaller" in output and "G multiply-adds" in output


def test_structured_encoder(run, tmp_path):
    output = run(
        "structured.encoder",
        f"--output_dir={tmp_path}",
        "--width=32",
        "--heads=4",
        "--blocks=1",
        "--length=8",
        "--vocabulary=100",
        "--batch_size=4",
        "--epochs=1",
    )

    assert "block_1_attention" in output and "heads" in output
    assert "smaller" in output


@pytest.mark.parametrize(
    "name, before, after",
    [("resnet34", 3.66e9, 2.69e9), ("mobilenet_v2", 300.8e6, 246.8e6)],
)
def test_the_papers_settings_give_its_flops(name, before, after):
    """arXiv 2112.04905, Section 5; convolutions and Dense only."""
    from tfmot_sapp import count_flops
    from tfmot_sapp.structured.keep import counts_of
    from tfmot_sapp.structured.shrink import shrink
    from tfmot_sapp.units.groups import find_groups

    model = networks.make(name)
    groups = {group.name: group for group in find_groups(model).groups}
    counts = counts_of(model, groups, networks.keep(name))

    smaller = shrink(
        model, groups, {n: np.arange(count) for n, count in counts.items()}
    )

    assert count_flops(model) == pytest.approx(before, rel=1.1e-3)
    assert count_flops(smaller) == pytest.approx(after, rel=1e-3)


def write_rows(path, rows=200, fields=39):
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        integers = rng.integers(-1, 500, 13).astype(str)
        categories = [f"{value:08x}" for value in rng.integers(0, 9, 26)]
        values = [str(rng.integers(2)), *integers, *categories]
        values[3] = values[20] = ""
        lines.append("\t".join(values[: fields + 1]))
    path.write_text("\n".join(lines) + "\n")


CRITEO = ["--batch_size=32", "--buckets=512"]


def test_criteo_from_a_table(run, tmp_path):
    write_rows(tmp_path / "rows.tsv")

    output = run(
        "block_pruning.criteo_mlp",
        f"--output_dir={tmp_path}",
        f"--tsv={tmp_path / 'rows.tsv'}",
        *CRITEO,
    )

    assert "test log loss" in output
    assert "10 x 10" in output and "156 / 1560" in output
    check_models(output, tmp_path)


BATCHES = """
import sys
import numpy as np
from examples.block_pruning import criteo_mlp

def batches():
    training, test = criteo_mlp.load()
    return [*training.epochs(0, 2), *test]

criteo_mlp.FLAGS(sys.argv)
from_a_table = batches()
criteo_mlp.FLAGS.tsv = None
from_the_builder = batches()
assert len(from_a_table) == len(from_the_builder) == 2 * 5 + 2
for row, other in zip(from_a_table, from_the_builder):
    assert row[0].shape[1] == 39
    for array, same in zip(row, other):
        np.testing.assert_array_equal(array, same)
"""


def test_criteo_from_the_tfds_builder_is_as_from_a_table(forks, tmp_path):
    write_rows(tmp_path / "train.txt")

    done = forks.run(
        BATCHES,
        f"--tsv={tmp_path / 'train.txt'}",
        f"--data_dir={tmp_path / 'data'}",
        f"--manual_dir={tmp_path}",
        *CRITEO,
    )

    assert done.returncode == 0, done.stderr[-3000:]


def test_a_table_of_other_width_is_refused(tmp_path):
    write_rows(tmp_path / "rows.tsv", fields=20)

    with pytest.raises(ValueError, match="Line 1 .*40 fields.*Received: 21"):
        list(read_rows(tmp_path / "rows.tsv"))
