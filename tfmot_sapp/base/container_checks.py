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
"""Checks of arguments that hold several values: tuples, mappings, arrays.

>>> from tfmot_sapp.base.checks import check_whole
>>> check_tuple([8, 4], "block_size", check_whole, "two integers", lengths=[2])
(8, 4)
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tfmot_sapp.base.wording import received

T = TypeVar("T")


def check_tuple(
    value: Any,
    name: str,
    each: Callable[[Any, str], T],
    what: str,
    lengths: Collection[int] | None = None,
) -> tuple[T, ...]:
    """Returns a sequence as a tuple of checked values.

    Args:
        value: A tuple or a list.
        name: The argument's name.
        each: The check of one value.
        what: What is right: "two whole numbers of at least 1".
        lengths: The lengths allowed; `None` for any.

    Raises:
        TypeError: If it is no tuple or list, or a value has the wrong type.
        ValueError: If its length or a value is wrong.
    """
    wrong = f"`{name}` must be {what}. {received(name, value)}"
    if not isinstance(value, (tuple, list)):
        raise TypeError(wrong)
    if lengths is not None and len(value) not in lengths:
        raise ValueError(wrong)
    checked = []
    for index, item in enumerate(value):
        try:
            checked.append(each(item, f"{name}[{index}]"))
        except TypeError as error:
            raise TypeError(f"{wrong} {error}") from error
        except ValueError as error:
            raise ValueError(f"{wrong} {error}") from error
    return tuple(checked)


def check_mapping(
    value: Any,
    name: str,
    each: Callable[[Any, str], T],
    what: str,
    least: int = 0,
) -> dict[str, T]:
    """Returns a mapping as a dictionary from strings to checked values.

    Args:
        value: The mapping.
        name: The argument's name.
        each: The check of one value.
        what: What is right: "a dictionary from layer names to sparsities".
        least: Smallest number of entries allowed.

    Raises:
        TypeError: If it is no mapping, a key is no string, or a value has the
            wrong type.
        ValueError: If it has too few entries or a value is wrong.
    """
    wrong = f"`{name}` must be {what}. {received(name, value)}"
    if not isinstance(value, Mapping):
        raise TypeError(wrong)
    if not all(isinstance(key, str) for key in value):
        raise TypeError(f"{wrong} Its keys must be strings.")
    if len(value) < least:
        raise ValueError(f"{wrong} It must have at least {least} entries.")
    return {key: each(item, f"{name}[{key!r}]") for key, item in value.items()}


# Kinds of NumPy's types that are no real numbers. Types that NumPy doesn't
# know, such as bfloat16, may be.
NO_NUMBERS = "cmMOSU"


def as_array(value: Any) -> np.ndarray:
    """Returns what a function of a user's gave as an array.

    Args:
        value: Anything; what makes no array becomes one object.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError):  # Rows of different lengths.
        return np.asarray(None)


def check_array(
    value: Any, name: str, shape: Sequence[int] | None = None
) -> np.ndarray:
    """Returns an array of finite real numbers.

    Args:
        value: An array, a tensor, or nested lists of numbers.
        name: The argument's name.
        shape: The shape it must have; `None` for any.

    Returns:
        The values as a NumPy array, in their own data type.

    Raises:
        TypeError: If it holds anything but real numbers.
        ValueError: If its shape is wrong, or a value is NaN or infinite.
    """
    wrong = f"`{name}` must be an array of finite real numbers"
    try:
        array = np.asarray(value)
    except ValueError as error:  # Rows of different lengths.
        raise ValueError(
            f"{wrong}: {error}. {received(name, value)}"
        ) from error
    try:
        # bfloat16 and its like are no NumPy kinds, but NumPy can ask them.
        finite = array.dtype.kind in "biu" or np.isfinite(array)
    except TypeError:
        finite = None
    if finite is None or array.dtype.kind in NO_NUMBERS:
        raise TypeError(f"{wrong}. {received(name, value)}")
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(
            f"`{name}` must have the shape {tuple(shape)}. Received: an array "
            f"of shape {array.shape}."
        )
    if not np.all(finite):
        count = array.size - int(np.count_nonzero(finite))
        raise ValueError(
            f"{wrong}. Received: an array of shape {array.shape} of which "
            f"{count} values are NaN or infinite."
        )
    return array
