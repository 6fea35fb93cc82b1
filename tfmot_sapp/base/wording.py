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
"""How an error about an argument says what is right and what was received."""

import math
import re
from typing import Any

_LONGEST = 200  # Characters of a value that an error shows.
# Keras writes the beginnings of its errors in bold.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def received(name: str, value: Any) -> str:
    """Returns the end of an error: what an argument was, on one line.

    Args:
        name: Name of the argument.
        value: What was passed; its text is cut where it is long.
    """
    try:
        shown = " ".join(repr(value).split())
    except Exception:  # A `__repr__` of the user's own.
        shown = object.__repr__(value)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}..."
    text = f"Received: {name}={shown} of type {type(value).__name__}."
    if isinstance(value, type):
        made = value.__name__
        text += f" That is a class: pass an object of it, such as `{made}()`."
    return text


def brief(error: object, longest: int | None = _LONGEST) -> str:
    r"""Returns the text of an error on one line.

    Args:
        error: The error, or its text.
        longest: Characters after which it is cut; `None` keeps all.

    Example:

    >>> brief(ValueError("Bad file.\n  Nothing in it."))
    'Bad file. Nothing in it.'
    """
    plain = _COLOURS.sub("", str(error))
    text = " ".join(plain.split()) or type(error).__name__
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}..."
    return text


def _plain(number: float | None) -> str:
    # An integer is shown as it is, not as 2.14748e+09.
    return f"{number}" if isinstance(number, int) else f"{number:g}"


def bounds_in_words(
    least: float | None,
    most: float | None,
    above: float | None = None,
    below: float | None = None,
) -> tuple[str, str]:
    """Returns a range of numbers as a noun and as what follows on "must be".

    Args:
        least: Smallest value allowed.
        most: Largest value allowed; infinity is no bound.
        above: The value must be greater than this.
        below: The value must be less than this.

    Example:

    >>> bounds_in_words(0, None, below=1)
    ('a number in [0, 1)', 'in [0, 1)')
    >>> bounds_in_words(None, None, above=0)
    ('a positive number', 'positive')
    """
    if most == math.inf:
        most = None
    lower, upper = "", ""
    if above is not None:
        lower = f"above {above:g}"
    elif least is not None:
        lower = f"at least {least:g}"
    if below is not None:
        upper = f"below {below:g}"
    elif most is not None:
        upper = f"at most {_plain(most)}"
    if lower and upper:
        left = f"[{least:g}" if above is None else f"({above:g}"
        right = f"{_plain(most)}]" if below is None else f"{below:g})"
        return f"a number in {left}, {right}", f"in {left}, {right}"
    if not lower and not upper:
        return "a number", ""
    if above == 0:
        return "a positive number", "positive"
    words = lower or upper
    strict = above is not None or below is not None
    return f"a number {words}" if strict else f"a number of {words}", words
