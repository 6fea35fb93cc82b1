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
"""The one table of checks of arguments.

Each function takes a value and the name of its argument, returns the value in
its plain Python type, and says otherwise what is right and what was received:
`TypeError` for the wrong kind of thing, `ValueError` for a wrong value. A bool
is never a number, and text never a flag. `container_checks.py` has those of
tuples, dictionaries and arrays.

>>> check_sparsity(0.9, "target_sparsity")
0.9
>>> check_whole(True, "batch_size", least=1)
Traceback (most recent call last):
TypeError: `batch_size` must be an integer. Received: batch_size=True of type bool.
"""  # noqa: E501 - an error's text is one line

import inspect
import math
import numbers
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import numpy as np

from tfmot_sapp.base.wording import bounds_in_words, received

T = TypeVar("T")

# What a runtime's int32 and a tensor's int64 hold.
_LARGEST_COUNT, _LARGEST_WHOLE = 2**31 - 1, 2**63 - 1
_ROUNDING = 1e-9  # Of a sum of shares written in decimals.


def check_whole(
    value: Any, name: str, least: int | None = None, most: int | None = None
) -> int:
    """Returns a whole number as an int.

    Args:
        value: The value to check: an int or a NumPy integer, no bool.
        name: The argument's name.
        least: Smallest value allowed.
        most: Largest value allowed; 64 bits hold any.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of its range.
    """
    if not _is_whole(value):
        raise TypeError(f"`{name}` must be an integer. {received(name, value)}")
    return _whole_between(value, name, least, most)


def check_count(value: Any, name: str) -> int:
    """Returns a number of threads, samples or rounds as an int.

    Args:
        value: A whole number of at least 1 that 32 bits hold.
        name: The argument's name.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of its range.
    """
    number = check_whole(value, name, least=1)
    return check_whole(number, name, most=_LARGEST_COUNT)


def check_steps(value: Any, name: str, least: int = 0) -> int:
    """Returns a number of steps, cycles or rounds as an int.

    Numbers of steps are often computed, so 1e4 is one as well.

    Args:
        value: The value to check: an integer, or a float that is whole.
        name: The argument's name.
        least: Smallest value allowed.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is less than `least`.
    """
    whole_float = isinstance(value, float) and value.is_integer()
    if not _is_whole(value) and not whole_float:
        raise TypeError(
            f"`{name}` must be a whole number. {received(name, value)}"
        )
    return _whole_between(value, name, least, None)


def check_real(
    value: Any,
    name: str,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    what: str | None = None,
    meaning: str = "",
) -> float:
    """Returns a real number as a float.

    Args:
        value: The value to check: an int, a float or a NumPy number. No bool,
            text, complex number or array.
        name: The argument's name.
        least: Smallest value allowed.
        most: Largest value allowed; `math.inf` allows infinity, which is
            refused otherwise.
        above: The value must be greater than this.
        below: The value must be less than this.
        what: What is right, where more than a number is: "a ratio in (0, 1], a
            dictionary of ratios or a budget".
        meaning: What the number is, for the error: "the fraction of blocks to
            remove".

    Raises:
        TypeError: If it is no real number.
        ValueError: If it is NaN, infinite or out of its range.
    """
    noun, bounds = bounds_in_words(least, most, above, below)
    if not _is_real(value):
        raise TypeError(
            f"`{name}` must be {what or noun}. {received(name, value)}"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    fits = (
        (math.isfinite(number) or (number == most == math.inf))
        and (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not fits:
        if not math.isfinite(number):
            bounds = f"{bounds} and finite" if bounds else "finite"
        meaning = f": {meaning}" if meaning else ""
        raise ValueError(
            f"`{name}` must be {bounds}{meaning}. {received(name, value)}"
        )
    return number


def check_fraction(value: Any, name: str, meaning: str = "") -> float:
    """Returns a fraction as a float.

    Args:
        value: A real number in [0, 1].
        name: The argument's name.
        meaning: What the number is, for the error.

    Raises:
        TypeError: If it is no real number.
        ValueError: If it is outside [0, 1] or NaN.
    """
    return check_real(value, name, least=0.0, most=1.0, meaning=meaning)


def check_sparsity(value: Any, name: str) -> float:
    """Returns a sparsity as a float.

    Args:
        value: A real number in [0, 1).
        name: The argument's name.

    Raises:
        TypeError: If it is no real number.
        ValueError: If it is outside [0, 1) or NaN.
    """
    meaning = "the fraction of blocks to remove"
    return check_real(value, name, least=0.0, below=1.0, meaning=meaning)


def check_sum(shares: Mapping[str, float], most: float = 1.0) -> None:
    """Checks that shares of one whole fit into it.

    Args:
        shares: The arguments' values by their names.
        most: What they may add up to, up to rounding.

    Raises:
        ValueError: If they add up to more.
    """
    total = math.fsum(shares.values())
    if total > most + _ROUNDING:
        *first, last = (f"`{name}`" for name in shares)
        raise ValueError(
            f"{', '.join(first)} and {last} must add up to at most {most:g}. "
            f"Received: {' + '.join(map(str, shares.values()))} = {total:g}."
        )


def check_flag(value: Any, name: str) -> bool:
    """Returns a flag as a bool.

    Args:
        value: A bool or a NumPy bool; no number, no text.
        name: The argument's name.

    Raises:
        TypeError: If it is no bool.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"`{name}` must be True or False. {received(name, value)}"
        )
    return bool(value)


def check_choice(value: Any, name: str, choices: Collection[T]) -> T:
    """Returns the choice that a value equals.

    Args:
        value: The value to check.
        name: The argument's name.
        choices: What is allowed: strings, numbers, `None`.

    Raises:
        TypeError: If it has the type of none of the choices.
        ValueError: If it is none of the choices.
    """
    alike = [choice for choice in choices if _same_kind(value, choice)]
    for choice in alike:
        if value == choice:
            return choice
    error = ValueError if alike else TypeError
    allowed = ", ".join(map(repr, choices))
    raise error(f"`{name}` must be one of {allowed}. {received(name, value)}")


def check_pathlike(
    value: Any, name: str = "path", what: str = "the file or directory"
) -> str:
    """Returns a path as a string.

    Whether something can be read or written there is another question.

    Args:
        value: A string or an `os.PathLike` of one.
        name: The argument's name.
        what: What is to stand at the path.

    Raises:
        TypeError: If it is no path.
        ValueError: If it is empty or holds what no name of a file can, such as
            a NUL character.
    """
    path = value
    if isinstance(value, os.PathLike) and not isinstance(value, type):
        path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(
            f"`{name}` must be a string or a `pathlib.Path` that names {what}. "
            f"{received(name, value)}"
        )
    fault = "must not be empty" if not path else ""
    try:
        if b"\0" in os.fsencode(path):
            fault = "must hold no NUL"
    except UnicodeEncodeError:
        fault = "must hold only what a file's name can"
    if fault:
        raise ValueError(
            f"`{name}` {fault}: it names {what}. {received(name, value)}"
        )
    return path


def check_callable(
    value: Any, name: str, what: str, arguments: int | None = None
) -> Callable[..., Any]:
    """Returns a function, or an object that can be called.

    Args:
        value: The value to check. A class is refused: it was forgotten to make
            an object of it.
        name: The argument's name.
        what: What is right: "a function of a layer".
        arguments: How many arguments it is called with; `None` for any.

    Raises:
        TypeError: If it can't be called, is a class, or takes other arguments.
    """
    wrong = isinstance(value, type) or not callable(value)
    if wrong or not _takes(value, arguments):
        raise TypeError(f"`{name}` must be {what}. {received(name, value)}")
    function: Callable[..., Any] = value
    return function


def check_instance(
    value: Any, name: str, kinds: type[T] | tuple[type[T], ...], what: str
) -> T:
    """Returns an object of one of some classes.

    Args:
        value: The value to check.
        name: The argument's name.
        kinds: The class, or a tuple of classes.
        what: What is right, with its article and an example: "a
            `tfmot_sapp.Scorer`, such as `tfmot_sapp.Magnitude()`".

    Raises:
        TypeError: If it is no such object.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"`{name}` must be {what}. {received(name, value)}")
    return value


def check_methods(
    value: Any, name: str, methods: Collection[str], what: str
) -> Any:
    """Returns an object that has some methods, whatever its class.

    Args:
        value: The value to check.
        name: The argument's name.
        methods: The methods' names.
        what: What the argument must be or have, with an example, as it follows
            on "must".

    Raises:
        TypeError: If a method is missing, or it is a class.
    """
    missing = [m for m in methods if not callable(getattr(value, m, None))]
    if isinstance(value, type) or missing:
        raise TypeError(f"`{name}` must {what}. {received(name, value)}")
    return value


def _takes(function: Callable[..., Any], arguments: int | None) -> bool:
    if arguments is None:
        return True
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Some of C's have none.
        return True
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _same_kind(value: Any, choice: Any) -> bool:
    # A bool is an int to `isinstance`, and True equals 1.
    return isinstance(value, type(choice)) and (
        isinstance(value, bool) == isinstance(choice, bool)
    )


def _whole_between(
    value: Any, name: str, least: int | None, most: int | None
) -> int:
    number = int(value)
    if number > _LARGEST_WHOLE and most is None:
        most = _LARGEST_WHOLE
    if (least is not None and number < least) or (
        most is not None and number > most
    ):
        _, bounds = bounds_in_words(least, most, None, None)
        raise ValueError(f"`{name}` must be {bounds}. {received(name, value)}")
    return number
