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
"""Loads a saved model with the Keras that wrote it."""

import importlib
import json
import os
import pathlib
import zipfile
from typing import Any


def load_model(path: str | os.PathLike) -> Any:
    """Loads a model with the Keras that wrote it.

    Args:
        path: A `.keras` or `.h5` file, or a directory that tf_keras wrote.

    Returns:
        A model of `keras` or `tf_keras`, not compiled.

    Raises:
        ValueError: If there is no saved Keras model.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ValueError(
            f"`path` must name a saved model. Received: {str(path)!r}, which "
            "doesn't exist."
        )
    keras = importlib.import_module(_keras_name(path))
    # The layers of packed and of wrapped models register themselves.
    importlib.import_module("tfmot_sapp")
    return keras.models.load_model(path, compile=False)


def _keras_name(path: pathlib.Path) -> str:
    version = _keras_version(path)
    if version is None:
        raise ValueError(
            "`path` must be a `.keras` or `.h5` file, or a directory that "
            f"tf_keras wrote. Received: {str(path)!r}."
        )
    return "tf_keras" if version.startswith("2.") else "keras"


def _keras_version(path: pathlib.Path) -> str | None:
    """Returns the version of Keras that wrote a model, if a Keras did."""
    if path.is_dir():
        return "2." if (path / "keras_metadata.pb").exists() else None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "metadata.json" not in archive.namelist():
                return None
            return json.loads(archive.read("metadata.json"))["keras_version"]
    h5py = importlib.import_module("h5py")
    if not h5py.is_hdf5(path):
        return None
    with h5py.File(path) as file:
        version = file.attrs.get("keras_version")
    return version.decode() if isinstance(version, bytes) else version
