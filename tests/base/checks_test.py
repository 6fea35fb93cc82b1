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
"""Every check takes what is right and says what is wrong, on one line."""

import decimal
import fractions
import functools
import math
import pathlib

import ml_dtypes
import numpy as np
import pytest

from tfmot_sapp.base import checks, container_checks, wording

NO_NUMBERS = [
    True,
    np.True_,
    None,
    "1",
    b"1",
    1 + 0j,
    np.complex64(1),
    [1],
    (1,),
    {},
    np.ones(()),
    np.ones(1),
    object(),
    int,
    decimal.Decimal(1),
]
TOO_WILD = [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400]


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no text")


def error_of(check, value, *arguments, **options):
    with pytest.raises((TypeError, ValueError)) as caught:
        check(value, "speed", *arguments, **options)
    text = str(caught.value)
    assert text.startswith("`speed") and "\n" not in text
    assert "Received: " in text
    return caught.value


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_become_ints(value):
    for check in (checks.check_whole, checks.check_steps):
        found = check(value, "speed")

        assert type(found) is int and found == 3


@pytest.mark.parametrize("value", [*NO_NUMBERS, 3.5, np.float32(3), math.nan])
def test_what_is_no_whole_number_is_refused(value):
    error = error_of(checks.check_whole, value)

    assert isinstance(error, TypeError)
    assert "`speed` must be an integer." in str(error)
    assert f"of type {type(value).__name__}." in str(error)


@pytest.mark.parametrize("value", [0, 2**31, 10**400, "1", True, 1.0])
def test_counts_fit_into_32_bits(value):
    error_of(checks.check_count, value)

    assert checks.check_count(np.int64(2**31 - 1), "speed") == 2**31 - 1


def test_whole_numbers_fit_into_64_bits():
    for check in checks.check_whole, checks.check_steps:
        assert "9223372036854775807" in str(error_of(check, 2**63))


def test_whole_floats_are_steps_and_nothing_else():
    assert checks.check_steps(1e4, "speed") == 10_000
    assert type(checks.check_steps(np.float64(2), "speed")) is int
    for value in [*NO_NUMBERS, 2.5, math.inf, math.nan]:
        error = error_of(checks.check_steps, value)
        assert isinstance(error, TypeError)
        assert "a whole number." in str(error)
    assert isinstance(error_of(checks.check_steps, -1), ValueError)


@pytest.mark.parametrize(
    "value, bounds, words",
    [
        (0, {"least": 1}, "must be at least 1."),
        (-1, {"least": 0, "most": 5}, "must be in [0, 5]."),
        (6, {"most": 5}, "must be at most 5."),
    ],
)
def test_whole_numbers_out_of_range_are_refused(value, bounds, words):
    error = error_of(checks.check_whole, value, **bounds)

    assert isinstance(error, ValueError) and words in str(error)
    for edge in bounds.values():
        assert checks.check_whole(edge, "speed", **bounds) == edge


@pytest.mark.parametrize(
    "value",
    [1, 1.0, np.float32(1), np.float16(1), np.int64(1), fractions.Fraction(1)],
)
def test_real_numbers_become_floats(value):
    found = checks.check_real(value, "speed")

    assert type(found) is float and found == 1.0


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_real_number_is_refused(value):
    for check in (
        checks.check_real,
        checks.check_fraction,
        checks.check_sparsity,
    ):
        assert isinstance(error_of(check, value), TypeError)


@pytest.mark.parametrize("value", TOO_WILD)
def test_numbers_are_finite(value):
    for check in (
        checks.check_real,
        checks.check_fraction,
        checks.check_sparsity,
        functools.partial(checks.check_real, above=0),
    ):
        error = error_of(check, value)
        assert isinstance(error, ValueError) and "finite" in str(error)


def test_infinity_can_be_allowed():
    allowed = functools.partial(checks.check_real, least=1, most=math.inf)

    assert allowed(math.inf, "order") == math.inf
    assert allowed(2, "order") == 2.0
    for value in (-math.inf, math.nan, 0.5):
        assert "must be at least 1" in str(error_of(allowed, value))


@pytest.mark.parametrize(
    "bounds, inside, outside, noun, words",
    [
        ({"above": 0}, [1e-9, 5], [0, -1], "a positive number", "positive"),
        ({"least": 0}, [0, 5], [-1e-9], "a number of at least 0", "at least 0"),
        ({"above": 2}, [3], [2], "a number above 2", "above 2"),
        ({"most": 2}, [2, -3], [2.5], "a number of at most 2", "at most 2"),
        ({"below": 2}, [1], [2], "a number below 2", "below 2"),
        ({"least": 0, "below": 1}, [0], [1], "a number in [0, 1)", "in [0, 1)"),
        ({"above": 0, "most": 1}, [1], [0], "a number in (0, 1]", "in (0, 1]"),
        (
            {"above": 0, "below": 1},
            [0.5],
            [0, 1],
            "a number in (0, 1)",
            "in (0, 1)",
        ),
    ],
)
def test_bounds_are_kept_and_told(bounds, inside, outside, noun, words):
    for value in inside:
        assert checks.check_real(value, "speed", **bounds) == value
    for value in outside:
        error = error_of(checks.check_real, value, **bounds)
        assert isinstance(error, ValueError)
        assert f"must be {words}." in str(error)
    assert f"must be {noun}." in str(error_of(checks.check_real, "1", **bounds))


def test_the_meaning_of_a_number_is_told():
    assert "must be in [0, 1): the fraction of blocks to remove." in str(
        error_of(checks.check_sparsity, 1.0)
    )
    error = error_of(checks.check_real, "half", above=0, what="a ratio or so")
    assert "must be a ratio or so." in str(error)
    assert checks.check_sparsity(0, "s") == 0.0
    assert checks.check_fraction(1, "s") == 1.0


def test_shares_fit_into_one_whole():
    checks.check_sum({"a": 0.1, "b": 0.2, "c": 0.7})

    with pytest.raises(
        ValueError, match="`a`, `b` and `c` must add up to.*1.1"
    ):
        checks.check_sum({"a": 0.5, "b": 0.5, "c": 0.1})


def test_flags_are_bools():
    assert checks.check_flag(True, "speed") is True
    assert checks.check_flag(np.False_, "speed") is False
    for value in (0, 1, "no", "", None, [], np.ones(()), bool):
        assert isinstance(error_of(checks.check_flag, value), TypeError)


def test_one_of_the_choices():
    choices = (None, "int8", "float16", 1)
    for choice in choices:
        assert checks.check_choice(choice, "speed", choices) == choice

    for value, kind in (
        ("int4", ValueError),
        (2, ValueError),
        (True, TypeError),
        (b"int8", TypeError),
        (["int8"], TypeError),
        (np.ones(3), TypeError),
    ):
        error = error_of(checks.check_choice, value, choices)
        assert type(error) is kind
        assert "one of None, 'int8', 'float16', 1." in str(error)


def test_paths_are_strings_or_pathlike(tmp_path):
    assert checks.check_pathlike(tmp_path) == str(tmp_path)
    assert checks.check_pathlike("a b") == "a b"
    for value in (None, 3, b"bytes", True, [], pathlib.Path):
        assert isinstance(error_of(checks.check_pathlike, value), TypeError)
    for value in ("", "a\0b", "\ud800", pathlib.PurePath("a\0b")):
        assert isinstance(error_of(checks.check_pathlike, value), ValueError)


def test_functions_can_be_called_and_are_no_classes():
    function = functools.partial(print)

    assert checks.check_callable(function, "speed", "a function") is function
    for value in (None, "print", 3):
        error_of(checks.check_callable, value, "a function")
    error = error_of(checks.check_callable, dict, "a function")
    assert str(error).endswith("such as `dict()`.")


def test_objects_are_of_a_class():
    path = pathlib.Path("a")

    assert checks.check_instance(path, "p", pathlib.Path, "a path") is path
    error = error_of(
        checks.check_instance, pathlib.Path, pathlib.Path, "a path"
    )
    assert isinstance(error, TypeError) and "`Path()`" in str(error)
    error = error_of(checks.check_instance, 3, (str, bytes), "text or bytes")
    assert "must be text or bytes. Received: speed=3 of type int" in str(error)


def test_objects_have_methods():
    what = "have the methods `read` and `write`"
    with open("/dev/null", "rb") as file:
        assert checks.check_methods(file, "f", ["read", "write"], what) is file

    for value in (None, 3, type(file)):
        error = error_of(checks.check_methods, value, ["read", "write"], what)
        assert isinstance(error, TypeError) and f"must {what}." in str(error)


def test_tuples_are_checked_item_by_item():
    check = functools.partial(
        container_checks.check_tuple,
        each=functools.partial(checks.check_whole, least=1),
        what="two whole numbers of at least 1",
        lengths=(2,),
    )

    assert check([2, np.int32(3)], "speed") == (2, 3)
    for value in (3, "32", None, {1, 2}, np.ones(2, int), [1.0, 2], (True, 1)):
        assert isinstance(error_of(check, value), TypeError)
    for value in ((), (1,), (1, 2, 3), (0, 1)):
        assert isinstance(error_of(check, value), ValueError)
    assert "`speed[1]` must be at least 1" in str(error_of(check, (1, 0)))


def test_mappings_are_checked_entry_by_entry():
    check = functools.partial(
        container_checks.check_mapping,
        each=checks.check_sparsity,
        what="a dictionary from names to sparsities",
        least=1,
    )

    assert check({"a": 0}, "speed") == {"a": 0.0}
    for value in ([0.5], 0.5, None, "a", {1: 0.5}, {"a": "0.5"}):
        assert isinstance(error_of(check, value), TypeError)
    for value in ({}, {"a": 1.0}):
        assert isinstance(error_of(check, value), ValueError)
    assert "`speed['a']`" in str(error_of(check, {"a": 2}))


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2]],
        np.ones((2, 3), np.float16),
        np.ones(3, bool),
        np.ones(3, ml_dtypes.bfloat16),
        np.zeros((0, 3)),
    ],
)
def test_finite_arrays_pass_as_they_are(value):
    found = container_checks.check_array(value, "speed")

    assert found.dtype == np.asarray(value).dtype
    np.testing.assert_array_equal(found, np.asarray(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [None],
        {"a": 1},
        np.ones(2, complex),
        np.array(["a"]),
        np.array([b"a"]),
        np.zeros(2, "datetime64[s]"),
        np.zeros(2, [("a", "f4")]),
    ],
)
def test_arrays_without_real_numbers_are_refused(value):
    assert isinstance(error_of(container_checks.check_array, value), TypeError)


def test_arrays_are_finite_and_of_the_shape_asked_for():
    for wild in (math.nan, math.inf):
        values = np.ones((2, 3), np.float32)
        values[1, 2] = wild
        error = error_of(container_checks.check_array, values)
        assert isinstance(error, ValueError) and "1 values are" in str(error)
    values = np.array([1, math.nan], ml_dtypes.bfloat16)
    assert "finite" in str(error_of(container_checks.check_array, values))
    error = error_of(container_checks.check_array, np.ones(3), shape=(2, 3))
    assert isinstance(error, ValueError)
    assert "must have the shape (2, 3)" in str(error)
    error = error_of(container_checks.check_array, [[1], [1, 2]])
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("value", [Unprintable(), np.ones((99, 9)), "x" * 9999])
def test_errors_stay_short_and_on_one_line(value):
    assert len(str(error_of(checks.check_whole, value))) < 400


def test_errors_of_others_lose_their_lines_and_colours():
    error = ValueError("\x1b[1mBad shape.\x1b[0m\n\nReceived: 3")

    assert wording.brief(error) == "Bad shape. Received: 3"
