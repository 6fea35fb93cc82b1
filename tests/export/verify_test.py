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
"""Differences are measured as they are stated."""

import numpy as np

from tfmot_sapp.export.measure import measure


def test_errors_are_relative_to_each_output():
    expected = [{"a": np.array([3.0, -4.0]), "b": np.array([100.0, 0.0])}]
    found = [{"a": np.array([3.0, -3.0]), "b": np.array([101.0, 0.0])}]

    max_error, rms_error = measure(expected, found)

    assert np.isclose(max_error, 1 / 4)
    assert np.isclose(rms_error, 1 / 5)


def test_outputs_of_zeros_are_measured_absolutely():
    zeros = [{"a": np.zeros(4)}]

    assert measure(zeros, zeros) == (0.0, 0.0)
    assert measure(zeros, [{"a": np.full(4, 2.0)}]) == (2.0, 2.0)


def test_what_can_not_be_compared_is_infinitely_far():
    expected = [{"a": np.array([1.0, np.inf])}]

    assert measure(expected, [{"b": np.zeros(2)}])[0] == np.inf
    assert measure(expected, [{"a": np.zeros(3)}])[0] == np.inf
    assert measure(expected, [{"a": np.array([1.0, 2.0])}])[0] == np.inf
    assert measure(expected, [{"a": np.array([np.nan, np.inf])}])[0] == np.inf
    assert measure(expected, expected) == (0.0, 0.0)
