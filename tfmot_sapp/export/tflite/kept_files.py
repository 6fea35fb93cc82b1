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
"""Float32 conversions that are kept while a model is exported in several ways.

Conversion takes most of an export's time, and the same float32 file is what is
packed, and what the weights of quantized files are compared with. It is kept in
a temporary file for as long as the model lives, and found again if the model's
weights and configuration are what they were.
"""

import contextlib
import hashlib
import os
import tempfile
import weakref
from typing import Any

import numpy as np

from tfmot_sapp.export.serving import Serving
from tfmot_sapp.frameworks.private.layers import all_layers


class _Kept:
    """A file's bytes, in a temporary file that goes with this object."""

    def __init__(self, key: bytes, content: bytes):
        self.key = key
        handle, self._path = tempfile.mkstemp(suffix=".tflite")
        weakref.finalize(self, _remove, self._path)
        with os.fdopen(handle, "wb") as file:
            file.write(content)

    def read(self) -> bytes | None:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except OSError:  # Somebody has cleaned up.
            return None


_KEPT: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()


def keep(model: Any, serving: Serving, content: bytes) -> None:
    """Keeps a model's float32 file, in place of the one that was kept.

    Args:
        model: The model; the file goes with it.
        serving: What was converted: the model or its copy in float32.
        content: The file's bytes, known to be right.
    """
    key = _key(model, serving)
    if key is not None:
        # Where there is no room for it, it is converted anew.
        with contextlib.suppress(OSError):
            _KEPT[model] = _Kept(key, content)


def kept(model: Any, serving: Serving) -> bytes | None:
    """Returns the float32 file that was kept for a model.

    Args:
        model: The model.
        serving: What would be converted.

    Returns:
        Its bytes; `None` if there is none, or the model has changed.
    """
    found = _KEPT.get(model)
    if found is None or found.key != _key(model, serving):
        return None
    return found.read()


def _key(model: Any, serving: Serving) -> bytes | None:
    """A digest of all that the file depends on, `None` if it isn't known."""
    digest = hashlib.blake2b(repr(serving.specs).encode())
    try:
        for layer in all_layers(model):
            digest.update(repr(layer.get_config()).encode())
    except Exception:
        # Configs are the users' own code.
        return None
    for weight in model.weights:
        array = np.ascontiguousarray(np.asarray(weight.numpy()))
        digest.update(repr((array.shape, array.dtype)).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
