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
"""What all parts of the campaign share: flags, counting, the table, the end."""

import argparse
import collections
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fixtures")]

# What a trial found: how it ended, and what to show if that is a finding.
Outcome = tuple[str, str | None]


def forks_in(folder: pathlib.Path) -> Any:
    """Returns what runs programs in forks, as the tests do."""
    from forks import Forks

    folder.mkdir()
    return Forks(folder)


def main(
    doc: str,
    count: int,
    trials: Callable[[int, int, pathlib.Path], Iterable[Outcome]],
) -> None:
    """Runs trials, prints a table of outcomes, and ends with 1 on findings.

    Args:
        doc: What the program does, for `--help`.
        count: Number of trials by default.
        trials: Makes them from a seed, their number and a folder to work in.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=count)
    flags = parser.parse_args()
    outcomes: collections.Counter[str] = collections.Counter()
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome, finding in trials(
            flags.seed, flags.count, pathlib.Path(folder)
        ):
            outcomes[outcome] += 1
            if finding is not None:
                findings.append(f"{outcome}: {finding}")
                print(f"finding: {findings[-1]}", flush=True)
    print(f"seed {flags.seed}, {sum(outcomes.values())} trials")
    for outcome, number in sorted(outcomes.items()):
        print(f"{number:6}  {outcome}")
    print(f"{len(findings):6}  findings")
    sys.exit(bool(findings))
