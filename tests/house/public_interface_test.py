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
"""The public interface is frozen in `public_interface.txt`.

The table has a line for each public name, and one for each public method and
attribute that this project gives it, with parameters and defaults: what a
program that was written against an earlier version relies on. Attributes that
are named as a parameter of the constructor stand there only. Annotations may
become more exact. A line is added by hand, with what it is for in the
changelog; one that is there stays as it is.

`python tests/house/public_interface_test.py` prints the table of what is
installed.
"""

import inspect
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import tfmot_sapp as sapp

TABLE = pathlib.Path(__file__).with_name("public_interface.txt")


def parameters(function: Callable[..., Any], skip: int = 0) -> str:
    """Returns the parameters of a function with their defaults, as written."""
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in list(signature.parameters.values())[skip:]
    ]
    return str(inspect.Signature(bare))


def owned(thing: Any) -> list[type]:
    """Returns a class and its bases, as far as this project wrote them."""
    return [
        base
        for base in inspect.getmro(thing)
        if base.__module__.partition(".")[0] == "tfmot_sapp"
    ]


def construction(thing: type) -> str:
    """Returns the parameters that an instance is made with."""
    for base in owned(thing):
        for name in ("__init__", "__new__"):
            if name in vars(base):
                return parameters(vars(base)[name], skip=1)
    return "()"


def members(thing: type) -> Iterator[str]:
    """Yields a line for each public method and attribute of a class."""
    names = {name for base in owned(thing) for name in vars(base)}
    given = re.findall(r"\w+", construction(thing))
    for name in sorted(names):
        if name in given or (name.startswith("_") and name != "__call__"):
            continue
        found = inspect.getattr_static(thing, name)
        if isinstance(found, staticmethod):
            yield f".{name}{parameters(found.__func__)} [static]"
        elif isinstance(found, classmethod):
            yield f".{name}{parameters(found.__func__, skip=1)} [class]"
        elif inspect.isfunction(found):
            yield f".{name}{parameters(found, skip=1)}"
        else:
            yield f".{name}"


def lines() -> list[str]:
    """Returns the table of what is installed."""
    table = []
    for name in sorted(sapp.__all__):
        thing = getattr(sapp, name)
        if inspect.isclass(thing) and owned(thing):
            table.append(name + construction(thing))
            table += [name + member for member in members(thing)]
        elif inspect.isclass(thing):
            table.append(f"{name} = {thing.__module__}.{thing.__qualname__}")
        else:
            table.append(name + parameters(thing))
    return table


def test_the_public_interface_is_as_the_table_says():
    expected = TABLE.read_text().splitlines()

    found = lines()

    lost = sorted(set(expected) - set(found))
    added = sorted(set(found) - set(expected))
    assert not lost, f"Gone or changed: {lost}. Now there: {added}."
    assert not added, f"Not in {TABLE.name} yet: {added}."


def test_every_public_name_is_listed():
    assert sorted(sapp.__all__) == sorted(set(sapp.__all__))
    assert set(dir(sapp)) >= set(sapp.__all__)


if __name__ == "__main__":
    print("\n".join(lines()))
