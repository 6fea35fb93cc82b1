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
"""What a function refers to besides its arguments, and how to give it others.

A `Lambda` often reads the weights of another layer, which its function finds
among the variables around it or in its module. A copy of the model needs a
function that finds the copy of that layer there.
"""

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def referred(function: Any) -> Iterator[Any]:
    """Yields the objects that a function refers to.

    Args:
        function: A function, a bound method or a `functools.partial`; nothing
            is known of any other callable.
    """
    if isinstance(function, functools.partial):
        yield from function.args
        yield from function.keywords.values()
        yield from referred(function.func)
    elif isinstance(function, types.MethodType):
        yield function.__self__
    elif isinstance(function, types.FunctionType):
        for cell in function.__closure__ or ():
            if not _is_empty(cell):
                yield cell.cell_contents
                yield from _inner(cell.cell_contents)
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        for name in _names(function.__code__):
            if name in function.__globals__:
                yield function.__globals__[name]


def held_by(value: Any) -> list[Any]:
    """Returns what a function or another object computes with.

    Args:
        value: Any object. Known are its attributes, what lists and dictionaries
            among them hold, and what functions among them refer to.
    """
    held: list[Any] = []
    for item in getattr(value, "__dict__", {}).values():
        if isinstance(item, Mapping):
            held.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            held.extend(item)
        else:
            held.append(item)
    for item in (value, *held):
        held.extend(referred(item))
    return held


def rebound(function: Any, new: Callable[[Any], Any]) -> Any:
    """Returns a function that refers to other objects.

    Args:
        function: As for `referred`.
        new: Function from an object to the one in its place, which may be it.

    Returns:
        A new function, or the function if all it refers to stays.
    """
    if all(new(item) is item for item in referred(function)):
        return function
    if isinstance(function, functools.partial):
        return functools.partial(
            rebound(function.func, new),
            *map(new, function.args),
            **{name: new(item) for name, item in function.keywords.items()},
        )
    if isinstance(function, types.MethodType):
        return types.MethodType(function.__func__, new(function.__self__))

    def again(item: Any) -> Any:
        if isinstance(item, types.FunctionType) and item is not function:
            return rebound(item, new)
        return new(item)

    cells = tuple(
        cell if _is_empty(cell) else types.CellType(again(cell.cell_contents))
        for cell in function.__closure__ or ()
    )
    known = function.__globals__
    names = [name for name in _names(function.__code__) if name in known]
    made = types.FunctionType(
        function.__code__,
        {**known, **{name: new(known[name]) for name in names}},
        function.__name__,
        tuple(map(new, function.__defaults__ or ())) or None,
        cells or None,
    )
    defaults = function.__kwdefaults__
    if defaults:
        made.__kwdefaults__ = {key: new(item) for key, item in defaults.items()}
    made.__module__ = function.__module__
    made.__qualname__ = function.__qualname__
    return made


def _inner(item: Any) -> Iterator[Any]:
    """Yields what a function in a closure refers to in its own closure."""
    if isinstance(item, types.FunctionType):
        for cell in item.__closure__ or ():
            if not _is_empty(cell) and cell.cell_contents is not item:
                yield cell.cell_contents


def _is_empty(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is None
    except ValueError:
        return True


def _names(code: types.CodeType) -> Iterator[str]:
    """Yields the names that code looks up, that of functions in it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
