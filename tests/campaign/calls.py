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
"""Wrong calls of the public interface: a clear error, and nothing is changed.

    python tests/campaign/calls.py --seed=1 --count=1000

The names, their arguments and calls that are right are those of
`tests/house/wrong_arguments_test.py`, with methods that users call and options
that are taken by name; here the values are drawn at random, up to two of them
wrong at once.

An error is clear if it is a TypeError or ValueError on one line, raised by this
project's own code, that names one of the arguments that were drawn, says what
was received, and what is right or what to do. A value that is taken though it
isn't right is a finding too (`RIGHT` says what is), and so is a file that
appears, changes or goes, and a model that isn't what it was.
"""

import importlib.util
import math
import numbers
import os
import pathlib
import random
import re
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import odd_values
import tensorflow as tf
import tf_keras

from trials import ROOT, Outcome, main  # isort: skip
from public_arguments import METHODS, OPTIONS, RIGHT_IN_METHODS

import tfmot_sapp as sapp
from tfmot_sapp.base.temporary_paths import remove

SECONDS = 60
OWN = {"in.tflite", "users.txt"}
# What is right, or what to do about what is not.
REMEDY = re.compile(
    r"\b(must|needs?|can't|Pass|Call|call|Choose|Remove|Leave|leave|Use|pass)\b"
)
# A value that makes a call take all memory fails in the call that has it.
MOST_BYTES = 8 << 30


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _within(low: float, high: float, closed: bool = True) -> Callable:
    return lambda value: (
        _is_real(value)
        and low <= value
        and (value <= high if closed else value < high)
    )


def _or(*allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(each(value) for each in allowed)


def _of(*kinds: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _is_none(value: Any) -> bool:
    return value is None


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_steps(value: Any) -> bool:
    whole = isinstance(value, float) and value.is_integer()
    return (_is_whole(value) or whole) and value >= 0


def _is_model(value: Any) -> bool:
    return isinstance(value, (keras.Model, tf_keras.Model)) and value.built


def _is_layer(value: Any) -> bool:
    return isinstance(value, (keras.layers.Layer, tf_keras.layers.Layer))


def _is_schedule(value: Any) -> bool:
    return isinstance(value, sapp.PruningSchedule)


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) and "\0" not in str(value)


def _is_block_size(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(map(_is_block_size, value.values()))
    return callable(value) or (
        isinstance(value, (tuple, list))
        and 1 <= len(value) <= 5
        and all(_is_whole(n) and n > 0 for n in value)
    )


def _is_sparsity(value: Any) -> bool:
    return _within(0, 1, closed=False)(value)


def _is_targets(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_sparsity, value.values()))


def _is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(map(_is_data, value.values()))
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_data, value))
    if isinstance(value, np.ndarray):
        real = value.dtype.kind in "biufUS" and value.ndim > 0
        return real and value.size > 0 and not _has_infinite(value)
    return isinstance(value, tf.data.Dataset)


def _is_shares(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_real, value))


def _has_infinite(value: np.ndarray) -> bool:
    return value.dtype.kind == "f" and not np.isfinite(value).all()


def _is_signature(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


_whole = _or(_is_steps)
_finite = _within(-1e308, 1e308)
_optional = _is_none
_budget = _of(sapp.FlopsBudget, sapp.ParameterBudget)
_target = _or(_is_none, _of(sapp.CpuTarget, sapp.GpuTarget, sapp.NpuTarget))
# What may be taken, by the kind of argument or, for objects, by its name.
RIGHT: dict[str, Callable[[Any], bool]] = {
    "whole": _whole,
    "count": _is_whole,
    "optional whole": _or(_optional, _whole),
    "real": _within(0, math.inf),
    "finite": _finite,
    "optional finite": _or(_optional, _finite),
    "fraction": _within(0, 1),
    "sparsity": _is_sparsity,
    "flag": _is_flag,
    "flag or Reconstruct": _or(_is_flag, _of(sapp.Reconstruct)),
    "choice": _optional,
    "frequency": _whole,
    # Before the first step it is -1.
    "step": lambda value: (
        _is_steps(value) or (_is_whole(value) and value == -1)
    ),
    "model": _or(_is_model, _is_layer),
    "layer": _is_layer,
    "schedule": _is_schedule,
    "path": _is_path,
    "optional path": _or(_optional, _is_path),
    "block size": _is_block_size,
    "optional block size": _or(_optional, _is_block_size),
    "sparsities": _or(_is_sparsity, _is_targets, _budget),
    "targets": _or(_optional, _is_targets),
    "ratio": _or(_within(0, 1), _is_targets, _budget),
    "budget": _or(_finite, _of(sapp.LatencyBudget)),
    "shares": _is_shares,
    "data": _is_data,
    "optional data": _or(_optional, _is_data),
    "optional function": _or(_optional, callable),
    "signature": _or(_optional, _is_signature),
    "scorer": _or(_is_none, _of(sapp.Scorer)),
    "times": _or(_is_none, _of(sapp.Scorer)),
    "allocation": _or(_is_none, _of(sapp.Allocation)),
    "pruning_policy": _or(_is_none, _of(sapp.MinimumBlocks)),
    "target": _target,
    "tune": _or(_is_none, _of(sapp.Tuning)),
    "criterion": _or(_is_none, _of(sapp.Criterion)),
    "optimizer": _or(_is_none, _of(keras.Optimizer)),
    "distill": _or(_is_none, _of(sapp.Distillation)),
}


def calls() -> list[tuple[str, Callable, dict[str, str], dict[str, Any]]]:
    """Returns what is called: its name, itself, its arguments, right ones."""
    spec = importlib.util.spec_from_file_location(
        "wrong", ROOT / "tests" / "house" / "wrong_arguments_test.py"
    )
    assert spec and spec.loader
    wrong = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wrong)
    right = wrong.right()
    right["benchmark"] = {"models": {"dense": "in.tflite"}, "rounds": 1}
    found = []
    for name, kinds in sorted(wrong.ARGUMENTS.items()):
        if name in ("prune_post_training", "prune_family"):
            kinds = {**OPTIONS, "nothing": "unknown", **kinds}
        if kinds:
            function = getattr(sapp, name)
            found.append((name, function, kinds, right.get(name, {})))
    for owner, methods in METHODS.items():
        for method, kinds in methods.items():
            function = getattr(eval(f"sapp.{owner}"), method)
            given = {k: v for k, v in RIGHT_IN_METHODS.items() if k in kinds}
            found.append((f"{owner}.{method}", function, kinds, given))
    return found


def shown(value: object) -> str:
    """Returns a value's text, which may fail."""
    try:
        return " ".join(repr(value)[:80].split())
    except RuntimeError:
        return object.__repr__(value)


def content(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns what is in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def state(right: Mapping[str, Any]) -> list[Any]:
    """Returns what a call might change in the models that it is given."""
    models = [v for v in right.values() if isinstance(v, keras.Model)]
    found: list[Any] = []
    for model in models:
        found += [weight.numpy().tobytes() for weight in model.weights]
        found += [sorted(vars(layer)) for layer in model.layers]
        found.append(model.trainable)
    return found


def _names_in(value: Any) -> list[str]:
    """Returns the arguments that an object of this project was made with."""
    mine = type(value).__module__.startswith("tfmot_sapp")
    return list(getattr(value, "__dict__", {})) if mine else []


def is_right(kind: str, argument: str, value: Any) -> bool:
    """Returns whether a value may be taken."""
    allowed = RIGHT.get(argument if kind == "object" else kind)
    return allowed is not None and allowed(value)


def unclear(
    error: Exception, kinds: Mapping[str, str], given: Mapping[str, Any]
) -> str:
    """Returns why an error isn't clear, or an empty text."""
    text = str(error)
    _, *frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if last.filename == odd_values.__file__ and last.name == "fails":
        return ""  # The user's function has failed, as it says itself.
    if not isinstance(error, (TypeError, ValueError)):
        return "another kind of error"
    names = {name for value in given.values() for name in _names_in(value)}
    if all(is_right(kinds[name], name, value) for name, value in given.items()):
        names |= {*kinds}  # What is wrong is how they go together.
    if not any(f"`{argument}" in text for argument in {*given, *names}):
        return "no argument that was drawn is named"
    if "Received: " not in text:
        return "it isn't said what was received"
    if "\n" in text:
        return "several lines"
    if not REMEDY.search(text):
        return "it isn't said what to do"
    if str(ROOT / "tfmot_sapp") not in last.filename:
        return f"raised in {last.filename}"
    return ""


def judge(
    name: str,
    function: Callable,
    kinds: Mapping[str, str],
    right: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Outcome:
    """Makes a call and judges what comes of it."""
    said = f"{name}({ {k: shown(v) for k, v in given.items()} })"
    before = state(right)
    signal.alarm(SECONDS)
    try:
        function(**{**right, **given})
    except Exception as error:
        signal.alarm(0)
        why = unclear(error, kinds, given)
        if why:
            said = f"{said}: {why}: {type(error).__name__}: {error}"
            return "unclear", said
        if state(right) != before:
            return "changed a model", said
        return "refused", None
    finally:
        signal.alarm(0)
    for argument, value in given.items():
        if not is_right(kinds[argument], argument, value):
            return "wrong value accepted", f"{said}: `{argument}`"
    return "right value accepted", None


def trials(seed: int, count: int, folder: pathlib.Path) -> Iterator[Outcome]:
    """Calls public names with values that are drawn at random."""
    os.chdir(folder)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, most))
    signal.signal(signal.SIGALRM, _too_long)
    found = calls()
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    sapp.export_tflite(model, "in.tflite")
    pathlib.Path("users.txt").write_text("the user's own")
    assert {*os.listdir()} == OWN
    rng = random.Random(seed)
    for _ in range(count):
        name, function, kinds, right = rng.choice(found)
        drawn = rng.sample(
            sorted(kinds), min(len(kinds), rng.choice([1, 1, 2]))
        )
        given = {argument: rng.choice(odd_values.VALUES) for argument in drawn}
        before = content(folder)
        outcome, finding = judge(name, function, kinds, right, given)
        after = content(folder)
        if finding is None and outcome == "refused" and before != after:
            yield "changed files", f"{name}, {given}: {before.keys()}"
        elif before.items() - after.items():
            yield "lost files", f"{name}, {given}"
        else:
            yield outcome, finding
        # The next call that is right may write the same.
        for path in folder.iterdir():
            if path.name not in OWN:
                remove(path)


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"It took more than {SECONDS} seconds.")


if __name__ == "__main__":
    main(__doc__, 1000, trials)
