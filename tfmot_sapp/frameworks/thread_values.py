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
"""Attributes that one thread sees with another value than all others.

A layer of tf_keras is called with other kernels than its own by giving its
attributes other values for a while. Another thread that calls the same layer,
as a server does, must neither see these nor be kept waiting: a lock that is
held while a layer runs could wait for a trace that waits for the lock.

For that while the object is of a subclass of its class whose attribute asks
which thread is reading.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

_values = threading.local()
# How many threads see an object with other values, and its own class. Held for
# the change of a few references only.
_lock = threading.Lock()
_changed: dict[int, tuple[int, Any, type]] = {}


@contextlib.contextmanager
def seen_as(obj: Any, attribute: str, value: Any) -> Iterator[None]:
    """Gives an attribute a value that this thread alone sees.

    Args:
        obj: Any object with a `__dict__`, whose attribute is in it.
        attribute: The attribute's name.
        value: What this thread reads there, in this context.
    """
    own = _own_values()
    key = (id(obj), attribute)
    before = own.get(key, _NONE)
    _enter(obj, attribute)
    own[key] = value
    try:
        yield
    finally:
        if before is _NONE:
            del own[key]
        else:
            own[key] = before
        _leave(obj)


_NONE = object()


def _own_values() -> dict[tuple[int, str], Any]:
    if not hasattr(_values, "by_attribute"):
        _values.by_attribute = {}
    return _values.by_attribute


def _enter(obj: Any, attribute: str) -> None:
    with _lock:
        count, _, cls = _changed.get(id(obj), (0, obj, type(obj)))
        # The object is kept, so that nothing else gets its id meanwhile.
        _changed[id(obj)] = (count + 1, obj, cls)
        now: Any = type(obj)
        if not isinstance(getattr(now, attribute, None), _PerThread):
            object.__setattr__(obj, "__class__", _subclass(now, attribute))


def _leave(obj: Any) -> None:
    with _lock:
        count, _, cls = _changed.pop(id(obj))
        if count > 1:
            _changed[id(obj)] = (count - 1, obj, cls)
        else:
            object.__setattr__(obj, "__class__", cls)


@functools.lru_cache(maxsize=256)
def _subclass(cls: Any, attribute: str) -> type:
    namespace = {
        attribute: _PerThread(attribute),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    return type(cls)(cls.__name__, (cls,), namespace)


class _PerThread:
    """The attribute of the subclass."""

    def __init__(self, attribute: str):
        self._attribute = attribute

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self
        value = _own_values().get((id(obj), self._attribute), _NONE)
        if value is not _NONE:
            return value
        try:
            return vars(obj)[self._attribute]
        except KeyError:
            raise AttributeError(self._attribute) from None

    def __set__(self, obj: Any, value: Any) -> None:
        vars(obj)[self._attribute] = value

    def __delete__(self, obj: Any) -> None:
        del vars(obj)[self._attribute]
