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
"""Nothing outside of `frameworks/private` uses what a library keeps private.

An attribute with a leading underscore is this project's own where one of its
classes defines it; any other belongs to somebody else.
"""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "tfmot_sapp"
ALLOWED = PACKAGE / "frameworks" / "private"
# What reads `.tflite` files loads without TensorFlow, unlike `frameworks`.
ALLOWED_FILE = PACKAGE / "base" / "private_flatbuffers.py"
PRIVATE = re.compile(r"_[A-Za-z]\w*")
# Trees of modules that a library doesn't document.
PRIVATE_MODULES = re.compile(
    r"(tf_keras|keras)\.src\b|tensorflow\.(lite\.)?python\b"
    r"|tensorflow_model_optimization\b|(^|\.)_[a-z]"
)


def files():
    return sorted(PACKAGE.rglob("*.py"))


def own_attributes(tree):
    """Returns the private attributes that the classes of a module define."""
    found = set()
    for cls in ast.walk(tree):
        if not isinstance(cls, ast.ClassDef):
            continue
        for node in ast.walk(cls):
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = getattr(node, "targets", None) or [node.target]
                found |= set(map(assigned_attribute, targets))
    return {name for name in found if name and PRIVATE.fullmatch(name)}


def assigned_attribute(target):
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute) and is_self(target.value):
        return target.attr
    if (
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Attribute)
        and target.value.attr == "__dict__"
        and isinstance(target.slice, ast.Constant)
    ):
        return target.slice.value
    return None


def is_self(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def uses(tree):
    """Yields lines and what is used there that may be private."""
    # What follows a value in an f-string is the end of a name.
    endings = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values[1:]
    }
    for node in ast.walk(tree):
        if id(node) in endings:
            continue
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if PRIVATE.fullmatch(node.value) or (
                PRIVATE_MODULES.search(node.value)
                and re.fullmatch(r"[\w.]+", node.value)
            ):
                yield node.lineno, node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name


def private_uses(source, own):
    return [
        f"line {line}: {name}"
        for line, name in uses(ast.parse(source))
        if not name.startswith("tfmot_sapp")
        and (PRIVATE.fullmatch(name) or PRIVATE_MODULES.search(name))
        and name not in own
    ]


@pytest.fixture(scope="module")
def own():
    return set().union(
        *(own_attributes(ast.parse(path.read_text())) for path in files())
    )


def test_only_the_private_modules_use_what_is_private(own):
    found = {
        str(path.relative_to(PACKAGE)): uses
        for path in files()
        if ALLOWED not in path.parents
        and path != ALLOWED_FILE
        and (uses := private_uses(path.read_text(), own))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "tensor._keras_history.operation",
        "getattr(layer, '_inbound_nodes', ())",
        "getattr(layer, f'_nested_{which}')",
        "from keras.src.backend.common import stateless_scope",
        "import tf_keras.src.engine.base_layer",
        "importlib.import_module('tensorflow.lite.python.convert')",
        "'keras.src.ops.numpy.Add' == name",
        "from tensorflow_model_optimization.python.core import sparsity",
    ],
)
def test_a_private_use_is_found(line, own):
    assert private_uses(line, own)


def test_own_attributes_are_not_private_uses(own):
    source = "class A:\n def __init__(self):\n  self._x = 1\na = A()._x"
    assert not private_uses(source, own | own_attributes(ast.parse(source)))
