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
"""Reading what a `.tflite` file holds behind its tables.

Labels and vocabularies are packed in a model's file as a ZIP archive that is
appended to it, as TensorFlow Lite's metadata has it.
"""

import io
import zipfile
import zlib

from tfmot_sapp.compiler.readers.flatbuffer import Damage, FlatbufferReader

# Writers that build tables and then don't use them leave them in the file.
_MOST_ABANDONED = 1024
_FIRST_ENTRY = b"PK\x03\x04"
_UNREADABLE = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_associated_files(reader: FlatbufferReader) -> dict[str, bytes]:
    """Reads the files that are appended to a model.

    Args:
        reader: The file, all of its tables read.

    Returns:
        Their contents by name.

    Raises:
        Damage: If there is anything else that nothing in the file refers to:
            operators that were compiled for an accelerator keep their code
            there and find it by its place, which a copy could not keep.
    """
    begin, begin_behind_text = reader.unread()
    tail = io.BytesIO(reader.content[begin:])
    end = len(reader.content)
    files: dict[str, bytes] = {}
    if zipfile.is_zipfile(tail):
        try:
            with zipfile.ZipFile(tail) as archive:
                entries = archive.infolist()
                reader.charge(sum(entry.file_size for entry in entries))
                files = {e.filename: archive.read(e) for e in entries}
                first = min((e.header_offset for e in entries), default=0)
        except _UNREADABLE as error:
            raise Damage(
                f"the archive at its end is broken: {error}"
            ) from error
        end = begin + first
    unknown = bytes(reader.content[begin_behind_text:end]).rstrip(b"\0")
    if _FIRST_ENTRY in unknown:
        raise Damage("the archive at its end is cut off")
    if len(unknown) > _MOST_ABANDONED:
        raise Damage(
            f"it has {len(unknown)} bytes at its end that nothing refers to, "
            "as a file has that was compiled for an accelerator: pack the "
            "model from before that"
        )
    return files
