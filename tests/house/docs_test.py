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
"""The examples in public docstrings run, and everything public has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import tfmot_sapp

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(
        tfmot_sapp.__path__, prefix="tfmot_sapp."
    )
    if not module.name.endswith("_main")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)

    results = doctest.testmod(
        module,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )

    assert results.failed == 0


@pytest.mark.parametrize("name", tfmot_sapp.__all__)
def test_public_names_are_documented(name):
    thing = getattr(tfmot_sapp, name)

    documentation = inspect.getdoc(thing)

    assert documentation, f"{name} has no docstring"
    assert documentation.splitlines()[0].endswith(".")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in tfmot_sapp.__all__
        if inspect.isfunction(getattr(tfmot_sapp, name))
    ],
)
def test_public_functions_document_their_arguments(name):
    function = getattr(tfmot_sapp, name)

    documentation = inspect.getdoc(function)

    for argument in inspect.signature(function).parameters:
        assert f"{argument}:" in documentation.replace("**", ""), argument


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_a_docstring_and_annotations(name):
    module = importlib.import_module(name)

    assert name.endswith((".export", ".structured")) or module.__doc__
    for label, thing in vars(module).items():
        if label.startswith("_") or not inspect.isfunction(thing):
            continue
        if thing.__module__ == name:
            parameters = inspect.signature(thing).parameters.values()
            assert all(
                parameter.annotation is not inspect.Parameter.empty
                for parameter in parameters
            ), f"{name}.{label}"
