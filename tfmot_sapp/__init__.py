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
"""Block-sparse Keras models that are smaller and faster where they run.

Wrap, fit, strip, pack, export: see the README. Names are loaded when they are
first used; `__init__.pyi` says from where.
"""

import importlib
from typing import Any

import lazy_loader

from tfmot_sapp.registration import register_when_imported

__version__ = "0.2.0"

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    # TensorFlow imports Keras, which is told of this project's classes then.
    # None of them may be half defined at that time.
    if name in __all__:
        importlib.import_module("tensorflow")
    return _load(name)


register_when_imported()
