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
"""The comparison of methods: choices, figures, and going on after a stop."""

import collections
import csv

import numpy as np
import pytest

from benchmarks.accuracy import methods, report, tasks

FIELDS = (
    "stage,dataset,model,optimizer,epochs,block,sparsity,method,rate,shape,"
    "seed,validation,test,kept,seconds"
)
STEPS = 3128

Run = collections.namedtuple("Run", FIELDS.split(",")[:11])


@pytest.fixture
def compare(forks):
    def compare(output, *options):
        done = forks.module(
            "benchmarks.accuracy.accuracy",
            "--dataset=digits",
            "--epochs=1",
            "--block=20",
            "--sparsity=0.9",
            "--method=early",
            "--method=sa-early",
            "--shape=late",
            "--rate=2e-3",
            "--rate=4e-3",
            "--jobs=1",
            f"--output={output}",
            *options,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return compare


def searched(method, rate, validation):
    return (
        f"search,digits,mlp,adam,1,20,0.9,{method},{rate},late,1000,"
        f"{validation},,8/80 40/400,1.0"
    )


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_tests_the_best_choice_and_goes_on_where_it_stopped(compare, tmp_path):
    path = tmp_path / "accuracy.csv"
    lines = [
        FIELDS,
        searched("early", 0.002, 80.0),
        searched("early", 0.004, 90.0),
        searched("sa-early", 0.002, 90.0),
    ]
    path.write_text("\n".join(lines) + "\n")
    printed = compare(tmp_path / "accuracy", "--seeds=1")
    assert "early - sa-early" in printed
    assert (tmp_path / "accuracy.png").stat().st_size > 0
    rows = read(path)
    assert path.read_text().startswith("\n".join(lines))
    # One search was missing; then one test of each method.
    assert [row["stage"] for row in rows] == 4 * ["search"] + 2 * ["test"]
    tested = {row["method"]: row for row in rows[4:]}
    assert set(tested) == {"early", "sa-early"}
    assert tested["early"]["rate"] == "0.004"
    for row in tested.values():
        assert row["seed"] == "1"
        assert row["kept"] == "8/80 40/400"
        assert 15 < float(row["test"]) <= 100
    before = path.read_bytes()
    again = compare(tmp_path / "accuracy", "--seeds=3", "--notrain")
    assert path.read_bytes() == before
    assert "early - sa-early" in again


def test_reports_before_anything_is_tested(compare, tmp_path):
    path = tmp_path / "accuracy.csv"
    path.write_text(f"{FIELDS}\n{searched('early', 0.004, 91.25)}\n")
    printed = compare(tmp_path / "accuracy", "--notrain")
    assert "91.25" in printed and "No test figures" in printed


def figures(**by_method):
    return {
        Run(
            "test",
            "digits",
            "mlp",
            "adam",
            2,
            20,
            0.9,
            method,
            0.002,
            "late",
            seed,
        ): {"test": value}
        for method, values in by_method.items()
        for seed, value in enumerate(values)
    }


def test_means_and_paired_differences():
    a, b = [88.0, 87.0, 89.0], [87.5, 87.25, 88.0]
    rows = figures(a=a, b=b)
    table = report.table(rows)
    assert f"88.00 ±{np.std(a, ddof=1):.2f} (3)" in table
    gap = np.subtract(a, b)
    line = next(
        line
        for line in report.differences(rows).splitlines()
        if "a - b" in line
    )
    error = np.std(gap, ddof=1) / np.sqrt(3)
    assert line.split()[-3:] == [f"{gap.mean():+.2f}", f"{error:.2f}", "2/3"]


def test_one_seed_has_no_deviation():
    rows = figures(a=[88.0, 89.0], b=[87.5])
    assert "87.50 (1)" in report.table(rows)
    printed = report.differences(rows)
    assert "+0.50" in printed and "nan" not in printed


def test_every_method_ends_at_its_sparsity():
    from tfmot_sapp.schedules.due_updates import DueUpdates

    for name, method in methods.METHODS.items():
        updates = DueUpdates(method.schedule(0.95, STEPS)).between(-1, STEPS)
        assert updates[-1].sparsity == pytest.approx(0.95), name
        assert updates[-1].step < 0.95 * STEPS, name


def test_late_rate_is_flat_for_half_of_the_training():
    late = methods.learning_rate("late", 2e-3, 100)
    assert [float(late(step)) for step in (0, 25, 50)] == pytest.approx(
        3 * [2e-3]
    )
    assert float(late(75)) == pytest.approx(1e-3)
    assert float(late(100)) == pytest.approx(0, abs=1e-9)
    cosine = methods.learning_rate("cosine", 2e-3, 100)
    assert float(cosine(50)) == pytest.approx(1e-3)


def test_raised_rate_is_twice_the_late_one_once_the_early_ramp_is_over():
    late, raised = (
        methods.learning_rate(shape, 2e-3, 100) for shape in ("late", "raised")
    )
    for step, factor in ((0, 1), (39, 1), (40, 2), (75, 2)):
        assert float(raised(step)) == pytest.approx(factor * float(late(step)))
    settings = raised.get_config()
    again = methods.Raised(**settings)
    assert float(again(60)) == float(raised(60))


def test_validation_and_test_images_are_not_trained_on():
    task = tasks.load("digits", "mlp", "")
    sizes = [
        len(split[0]) for split in (task.training, task.validation, task.test)
    ]
    assert sizes == [1198, 239, 360]
    seen = {image.tobytes() for image in task.training[0]}
    assert not seen & {image.tobytes() for image in task.validation[0]}
