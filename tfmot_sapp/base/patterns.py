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
"""Values given by name or by pattern of names."""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any


def match_name(table: Mapping[str, Any], name: str) -> Any | None:
    """Returns the value for a name: exact match first, then first pattern.

    Args:
        table: Dictionary from names or `fnmatch` patterns to values.
        name: The name to look up.

    Returns:
        The value found, or `None`.

    Example:

    >>> match_name({"dense*": 1, "dense_2": 2}, "dense_2")
    2
    """
    if name in table:
        return table[name]
    for pattern, value in table.items():
        if fnmatch.fnmatchcase(name, pattern):
            return value
    return None


def check_patterns(
    table: Mapping[str, Any], names: Iterable[str], argument: str
) -> None:
    """Checks that every name and pattern of a table matches something.

    Args:
        table: Dictionary from names or `fnmatch` patterns to values.
        names: The names there are.
        argument: The argument that the table was passed as.

    Raises:
        ValueError: If one matches nothing.
    """
    known = sorted(set(names))
    for pattern in table:
        if pattern not in known and not any(
            fnmatch.fnmatchcase(name, pattern) for name in known
        ):
            raise ValueError(
                f"`{argument}` must name layers, or patterns of their names. "
                f"Received: {pattern!r}, which matches none of {known}."
            )
