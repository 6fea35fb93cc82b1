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
"""Damaged files given to `pack_tflite`: a clear error each, and no crash.

```
python -m benchmarks.files.mutated_files --files=a.tflite,b.tflite --count=300
```

Bytes are overwritten, files cut off, and fields exchanged: shapes, types,
indices and options are replaced by others and the file written anew, so that
it is whole and makes no sense. Each is packed in a process of its own, which is
watched. Linux only, because that process is forked.

Prints how many were packed, refused (`ValueError`), failed otherwise, ended
the process, took too long or took more memory than the whole file did, ten
times the file and 64 MiB.
"""

import collections
import os
import pathlib
import random
import resource
import signal
import struct
import tempfile
import time
import traceback
from typing import Any

import numpy as np
from absl import app, flags

from tfmot_sapp.compiler.schema import schema_module
from tfmot_sapp.verbs.pack_tflite import pack_tflite

FLAGS = flags.FLAGS
_SLOW = 120  # seconds
_ROOM = 64 << 20
_NUMBERS = (-1, 0, 1, 2, 3, 7, 100, 2**16, 2**24, 2**31 - 1)
_FINE = ("packed", "refused")


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_list("files", None, "Whole files to damage, in turn.")
    flags.DEFINE_integer("count", 300, "How many damaged files to try.")
    flags.DEFINE_integer("seed", 0, "Seed of the damage.")
    flags.DEFINE_string("keep", None, "Where to keep the ones that are wrong.")
    flags.mark_flag_as_required("files")


def main(argv: list[str]) -> None:
    """Tries all, and prints what came out."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    sources = [pathlib.Path(name).read_bytes() for name in FLAGS.files]
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    kinds = [overwrite, cut, shift, *[exchange] * 3]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "mutated.tflite"
        # What is loaded on the first call isn't loaded in every process.
        path.write_bytes(sources[0])
        pack_tflite(path, path.with_name("packed.tflite"))
        allowed = {}
        for content in sources:
            path.write_bytes(content)
            _, taken = pack_in_child(path)
            allowed[content] = taken + 10 * len(content) + _ROOM
        for number in range(FLAGS.count):
            generator = random.Random(f"{FLAGS.seed} {number}")
            mutate = kinds[number % len(kinds)]
            content = sources[number // len(kinds) % len(sources)]
            path.write_bytes(mutate(content, generator))
            outcome, taken = pack_in_child(path)
            if taken > allowed[content]:
                outcome = f"memory: {taken >> 20} MiB; {outcome}"
            counts[mutate.__name__, outcome.split(":")[0]] += 1
            if outcome not in _FINE:
                print(f"{number} {mutate.__name__}: {outcome}", flush=True)
                if FLAGS.keep:
                    kept = pathlib.Path(FLAGS.keep) / f"{number}.tflite"
                    kept.write_bytes(path.read_bytes())
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind}: {count} {outcome}")


def overwrite(content: bytes, generator: random.Random) -> bytes:
    """Overwrites some bytes, more often in front, where the tables are."""
    mutated = bytearray(content)
    end = generator.choice([len(content), min(len(content), 4000)])
    for _ in range(generator.randrange(1, 20)):
        mutated[generator.randrange(end)] = generator.randrange(256)
    return bytes(mutated)


def cut(content: bytes, generator: random.Random) -> bytes:
    """Cuts a file off."""
    return content[: generator.randrange(len(content))]


def shift(content: bytes, generator: random.Random) -> bytes:
    """Changes numbers a little, or to extremes."""
    mutated = bytearray(content)
    end = generator.choice([len(content), min(len(content), 4000)])
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(0, end - 4) & ~3
        (number,) = struct.unpack_from("<i", mutated, place)
        number = generator.choice([number + 1, number - 4, *_NUMBERS])
        struct.pack_into("<I", mutated, place, number % 2**32)
    return bytes(mutated)


def exchange(content: bytes, generator: random.Random) -> bytes:
    """Exchanges fields of a file and writes it anew."""
    import flatbuffers

    schema = schema_module()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for _ in range(generator.randrange(1, 4)):
        _exchange_one(model, generator)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _exchange_one(model: Any, generator: random.Random) -> None:
    subgraph = generator.choice(model.subgraphs)
    tensor = generator.choice(subgraph.tensors)
    operator = generator.choice(subgraph.operators)
    what = generator.randrange(7)
    if what == 0 and tensor.shape is not None and len(tensor.shape):
        shape = np.array(tensor.shape)
        shape[generator.randrange(len(shape))] = generator.choice(_NUMBERS)
        tensor.shape = shape
    elif what == 1:
        tensor.type = generator.choice([0, 1, 2, 3, 4, 6, 7, 9, 17])
    elif what == 2:
        indices = np.array(operator.inputs)
        place = generator.randrange(len(indices))
        indices[place] = generator.randrange(-1, len(subgraph.tensors))
        operator.inputs = indices
    elif what == 3:
        operator.opcodeIndex = generator.randrange(len(model.operatorCodes))
    elif what == 4 and operator.builtinOptions is not None:
        fields = vars(operator.builtinOptions)
        name = generator.choice([*fields, ""])
        if isinstance(fields.get(name), bool):
            fields[name] = not fields[name]
        elif isinstance(fields.get(name), int):
            fields[name] = generator.choice(_NUMBERS[:-3])
    elif what == 5:
        small = [
            buffer
            for buffer in model.buffers
            if buffer.data is not None and 4 <= len(buffer.data) <= 64
        ]
        if small:
            chosen = generator.choice(small)
            numbers = np.array(chosen.data, np.uint8)
            numbers = numbers[: len(numbers) // 4 * 4].view("<i4").copy()
            numbers[generator.randrange(len(numbers))] = generator.choice(
                _NUMBERS
            )
            chosen.data = numbers.view(np.uint8)
    else:
        code = generator.choice(model.operatorCodes)
        code.builtinCode = generator.randrange(120)
        code.deprecatedBuiltinCode = code.builtinCode


def pack_in_child(path: pathlib.Path) -> tuple[str, int]:
    """Packs a file in a process of its own.

    Args:
        path: The file.

    Returns:
        What came of it, `"packed"` and `"refused"` where all is well; and the
        memory that it took, in bytes.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        message = _outcome(path)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # The process that tries the file has this one's size at first.
        tried = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        after = max(after, tried)
        os.write(writer, f"{1024 * (after - before)} {message}".encode()[:4000])
        os._exit(0)
    os.close(writer)
    end = time.monotonic() + _SLOW
    while (
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return "too slow", 0
        time.sleep(0.01)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        message = pipe.read()
    if os.WIFSIGNALED(status):
        return f"crash: signal {os.WTERMSIG(status)}", 0
    taken, _, outcome = message.partition(" ")
    return outcome, int(taken)


def _outcome(path: pathlib.Path) -> str:
    try:
        pack_tflite(path, path.with_name("packed.tflite"))
        return "packed"
    except ValueError:
        return "refused"
    except BaseException:
        return f"other error: {traceback.format_exc()[-1500:]}"


if __name__ == "__main__":
    define_flags()
    app.run(main)
