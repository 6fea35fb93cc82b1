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
"""Wrong calls of every public name: a clear error, and nothing is changed.

    python tests/campaign/calls.py --seed=1 --count=1000

The names, their arguments and calls that are right are those of
`tests/house/wrong_arguments_test.py`; here the values are drawn at random, up
to two of them wrong at once.
"""

import importlib.util
import math
import os
import pathlib
import random
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
from trials import ROOT, Outcome, main

import tfmot_sapp as sapp

SECONDS = 60
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    3,
    10**30,
    0.5,
    -0.5,
    math.nan,
    math.inf,
    1j,
    "",
    "no",
    "\0",
    "[red]x[/red]",
    b"0.5",
    (),
    [],
    {},
    {"nothing": 1},
    {1: 2},
    [None],
    ["a", 3],
    (4, 4),
    (0, 0),
    (math.nan, 2),
    range(3),
    object(),
    int,
    len,
    lambda *_: None,
    lambda layer: (4, "x"),
    np.float32("nan"),
    np.zeros((0, 8), np.float32),
    np.ones((2, 3, 4)),
    np.array(["a"]),
    np.array([None]),
    pathlib.Path("/dev/full"),
    pathlib.Path("/proc/nothing/there"),
    sapp.Magnitude(),
    sapp.Magnitude,
    sapp.UniformAllocation(),
    sapp.OneShot(0.5, 4),
]


def shown(value: object) -> str:
    """Returns a value's text, which may fail."""
    return repr(value)[:80]


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Calls public names with values that are drawn at random."""
    spec = importlib.util.spec_from_file_location(
        "wrong", ROOT / "tests" / "house" / "wrong_arguments_test.py"
    )
    assert spec and spec.loader
    wrong = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wrong)
    rng = random.Random(seed)
    names = sorted(name for name, kinds in wrong.ARGUMENTS.items() if kinds)
    os.chdir(folder)
    signal.signal(signal.SIGALRM, _too_long)
    for _ in range(count):
        name = rng.choice(names)
        kinds = sorted(wrong.ARGUMENTS[name])
        chosen = rng.sample(kinds, min(len(kinds), rng.choice([1, 1, 2])))
        given = {argument: rng.choice(VALUES) for argument in chosen}
        said = f"{name}({ {k: shown(v) for k, v in given.items()} })"
        signal.alarm(SECONDS)
        try:
            getattr(sapp, name)(**{**wrong.right().get(name, {}), **given})
        except (TypeError, ValueError) as error:
            named = any(f"`{argument}" in str(error) for argument in kinds)
            clear = named and "Received" in str(error)
            yield (
                "refused" if clear else "unclear",
                None if clear else f"{said}: {error}",
            )
        except Exception as error:
            yield type(error).__name__, f"{said}: {error}"
        else:
            yield "accepted", None
        finally:
            signal.alarm(0)


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"It took more than {SECONDS} seconds.")


if __name__ == "__main__":
    main(__doc__, 1000, trials)
