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

import contextlib
import importlib
import json
import os
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.base.hdf5_trial import check_readable
from tfmot_sapp.base.paths import readable_path, without_patterns
from tfmot_sapp.base.wording import brief


def load_model(path: str | os.PathLike) -> Any:
    """Loads a model with the Keras that wrote it.

    Args:
        path: A `.keras` or `.h5` file, or a directory that tf_keras wrote.

    Returns:
        A model of `keras` or `tf_keras`, not compiled.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If there is no saved Keras model, or it can't be loaded.
    """
    path = readable_path(path, "path", "a saved model", or_directory=True)
    with _as_value_error(path):
        if path.is_file():
            check_readable(path)
        version = _keras_version(path)
    keras = importlib.import_module(_keras_name(path, version))
    # The layers of packed and of wrapped models register themselves.
    importlib.import_module("tfmot_sapp")
    with _as_value_error(path):
        if not path.is_dir():
            return keras.models.load_model(path, compile=False)
        with without_patterns(path) as plain:
            return keras.models.load_model(plain, compile=False)


@contextlib.contextmanager
def _as_value_error(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    # Keras, h5py, zipfile and json raise errors of any kind for what they
    # don't expect in a file.
    except Exception as error:
        raise ValueError(
            "`path` must name a saved model that its Keras can load; if the "
            "file is damaged, save the model again, and if it holds classes of "
            f"your own, register them first. Received: {str(path)!r}: "
            f"{type(error).__name__}: {brief(error)}"
        ) from error


def _keras_name(path: pathlib.Path, version: Any) -> str:
    if not isinstance(version, str):
        raise ValueError(
            "`path` must be a `.keras` or `.h5` file, or a directory that "
            f"tf_keras wrote. Received: {str(path)!r}, which is none or is "
            "damaged; save the model again."
        )
    return "tf_keras" if version.startswith("2.") else "keras"


def _keras_version(path: pathlib.Path) -> Any:
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
