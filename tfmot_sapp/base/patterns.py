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
from collections.abc import Mapping
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
