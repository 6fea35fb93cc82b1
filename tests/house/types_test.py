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
"""The types of the package fit, as strictly as `pyproject.toml` says."""

import pathlib

import pytest
from mypy import api

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    not (ROOT / "tfmot_sapp").is_dir(),
    reason="runs beside an installed package, without its sources",
)
def test_the_types_fit(monkeypatch):
    monkeypatch.chdir(ROOT)

    output, errors, _ = api.run(["--config-file=pyproject.toml"])

    assert not errors
    assert output.startswith("Success"), output
