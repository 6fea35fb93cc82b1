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
"""What the generated classes of flatbuffers keep private.

It stands apart from what other libraries keep private, so that `.tflite` files
are read without TensorFlow being loaded.
"""

from typing import Any


def table_of(obj: Any) -> Any:
    """The table that an object of a generated class reads."""
    return obj._tab


def set_table(obj: Any, table: Any) -> None:
    """Makes an object of a generated class read another table."""
    obj._tab = table
