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
"""What all tests share: each Keras in turn, and what `fixtures` makes."""

import gc
import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

# A process for each core runs tests: threads of BLAS would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from environment import fresh_environment
from forks import forks
from sparse_models import sparse_mlp
from structured_models import criterion, models, topology

__all__ = [
    "criterion",
    "forks",
    "fresh_environment",
    "models",
    "sparse_mlp",
    "topology",
]


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> ModuleType:
    """Each Keras in turn: what takes this fixture holds for both."""
    return importlib.import_module(request.param)


@pytest.fixture(scope="module", autouse=True)
def _freeze_what_stays() -> None:
    """Spares the collector what stays anyway: modules, and models of others.

    TensorFlow's converter collects garbage at every call, which takes as long
    as there are objects: a second, once some hundred models were made.
    """
    gc.collect()
    gc.freeze()


def _assert_close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    found = np.asarray(found, np.float64)
    expected = np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture(scope="session")
def assert_close() -> Callable[..., None]:
    """Asserts that two functions gave the same outputs, but for rounding.

    A CPU adds the products of one graph in another order than those of the
    next, so that outputs agree to the bit on some CPUs only. They may differ
    by `tolerance` times the largest expected value; the default is for
    float32.
    """
    return _assert_close
