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
"""Packing files into a model's, as TensorFlow Lite's metadata has it."""

import io
import zipfile


def pack_associated_files(files: dict[str, bytes], start: int) -> bytes:
    """Packs files in a ZIP archive that is appended to another file.

    Args:
        files: Their contents by name.
        start: Length of the file that the archive is appended to.

    Returns:
        The archive. It is not compressed, as readers map it into memory, and
        its entries are found by their place in the whole file.
    """
    appended = _Appended(start)
    with zipfile.ZipFile(appended, "w", zipfile.ZIP_STORED) as archive:
        for name, contents in files.items():
            # An entry without a time, so that equal graphs are equal files.
            archive.writestr(zipfile.ZipInfo(name), contents)
    return appended.getvalue()


class _Appended(io.BytesIO):
    """A stream whose positions are those in the file that it's appended to."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start = start

    def tell(self) -> int:
        return self._start + super().tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            position -= self._start
        return self._start + super().seek(position, whence)
