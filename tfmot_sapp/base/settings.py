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
"""Pieces that are plain data: equal by value, restored from their config.

```python
@dataclasses.dataclass(frozen=True, eq=False)
class Taylor(Settings):
    decay: float = 0.99

    def __post_init__(self) -> None:
        self._set(decay=check_real(self.decay, "decay", least=0, below=1))
```
"""

import json
from typing import Any

from tfmot_sapp.base.registry import Registered, serialize


class Settings(Registered):
    """Base class of scorers, schedules and allocations.

    Two objects of one class are equal if their configs are. A subclass that
    has attributes and does not say, by `get_config` or by being a dataclass,
    which of them are its arguments is equal to itself alone.
    """

    def _set(self, **values: Any) -> None:
        """Sets fields of a frozen dataclass to what their checks returned."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return other is self or value_key(self) == value_key(other)

    def __hash__(self) -> int:
        return hash(value_key(self))


def value_key(piece: Any) -> str:
    """Returns what is the same for pieces that are equal, and for no others.

    Args:
        piece: A scorer, a schedule or an allocation, of the user's own too.
    """
    if isinstance(piece, Settings) and not _is_described(piece):
        return _identity(piece)
    try:
        return json.dumps(serialize(piece), sort_keys=True)
    except (TypeError, ValueError):
        # One without a config, or with arrays in it, can be used, though not
        # saved.
        return _identity(piece)


def _is_described(piece: Settings) -> bool:
    named = {"get_config", "_arguments", "__dataclass_fields__"}
    return bool(named & set(vars(type(piece)))) or not vars(piece)


def _identity(piece: Any) -> str:
    return f"{type(piece).__qualname__} at {id(piece)}"
