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
"""How long single layers take: estimated, or measured in the real runtime.

Measured times stand in a file, by target and shape of the layer:

```json
{"CpuTarget(threads=4)": {"processor": "...", "layers": {
    "196 rows, 9 taps, 256 to 256": {"dense": 910.2, "32x32 0.9": 251.7}}}}
```

A file that was written on the machine where a model is to run serves on any
other: what stands in it is not measured again.
"""

import dataclasses
import functools
import json
import math
import pathlib
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmot_sapp.base.files import write_file
from tfmot_sapp.base.wording import received
from tfmot_sapp.compiler.choose.layer_options import (
    LayerShape,
    balanced_mask,
    blocked_time,
    dense_time,
    grouped_time,
)
from tfmot_sapp.compiler.pack_keras import dense_model, packed_model
from tfmot_sapp.export import runtime
from tfmot_sapp.export.benchmark.interleave import interleave_for
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target

# At which densities packed layers are measured; between them, times are
# interpolated.
_DENSITIES = (0.25, 0.1, 0.05)
_SECONDS = 0.5
# Makes a mask of weights; only what is measured needs one.
Mask = Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class LayerTimes:
    """How long layers are estimated to take, by the costs of a target.

    Attributes:
        target: Where they run.
    """

    target: Target

    # Whether a packed layer is meant that takes and gives one tensor.
    alone = False

    def dense(self, layer: LayerShape) -> float:
        """Returns the microseconds of a dense layer."""
        return dense_time(layer, self.target)

    def blocked(
        self,
        layer: LayerShape,
        block: tuple[int, int],
        sparsity: float,
        alone: bool = False,
    ) -> float:
        """Returns the microseconds of a packed layer.

        Args:
            layer: The layer.
            block: Channels of an input and of an output block.
            sparsity: Fraction of its blocks that are removed.
            alone: Whether it takes and gives one tensor.
        """
        return blocked_time(layer, block, sparsity, self.target, alone)

    def grouped(self, layer: LayerShape, groups: int) -> float:
        """Returns the microseconds of a layer whose blocks form groups.

        Args:
            layer: The layer.
            groups: How many groups; their blocks lie in order.
        """
        return grouped_time(layer, groups, self.target)


@dataclasses.dataclass(frozen=True)
class MeasuredTimes(LayerTimes):
    """How long layers take in LiteRT on a CPU, each in a file of its own.

    Attributes:
        path: The file that times are read from and written to; `None` keeps
            them in memory.
        known: Times by the layer's name and by what is done with it.
    """

    path: pathlib.Path | None = None
    known: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

    alone = True

    def __post_init__(self) -> None:
        """Reads what has been measured before."""
        for name, times in self._stored().get("layers", {}).items():
            self.known.setdefault(name, {}).update(times)

    def dense(self, layer: LayerShape) -> float:
        """Returns the microseconds of a dense layer."""
        return self._times(layer, {})["dense"]

    def blocked(
        self,
        layer: LayerShape,
        block: tuple[int, int],
        sparsity: float,
        alone: bool = True,
    ) -> float:
        """Returns the microseconds of a packed layer, interpolated."""
        masks = {
            _what(block, density): functools.partial(
                _balanced, layer, block, density
            )
            for density in _DENSITIES
        }
        times = self._times(layer, masks)
        densities = sorted(_DENSITIES)
        taken = [times[_what(block, density)] for density in densities]
        whole = max(times["dense"], taken[-1])
        found = np.interp(1 - sparsity, [*densities, 1.0], [*taken, whole])
        return float(min(found, times["dense"]))

    def grouped(self, layer: LayerShape, groups: int) -> float:
        """Returns the microseconds of a layer whose blocks form groups."""
        what = f"{groups} groups"
        times = self._times(
            layer, {what: lambda: _groups_in_order(layer, groups)}
        )
        return float(min(times[what], times["dense"]))

    def _times(
        self, layer: LayerShape, masks: Mapping[str, Mask]
    ) -> dict[str, float]:
        name = (
            f"{layer.rows:g} rows, {layer.taps} taps, "
            f"{layer.inputs} to {layer.outputs}"
        )
        known = self.known.setdefault(name, {})
        if any(what not in known for what in ("dense", *masks)):
            found = _measured(layer, masks, self.target)
            # One dense time for all: what is measured together is compared.
            share = known.get("dense", found["dense"]) / found["dense"]
            known.update({what: share * us for what, us in found.items()})
            self._store()
        return known

    def _stored(self) -> dict[str, Any]:
        stored: dict[str, Any] = self._file().get(repr(self.target), {})
        return stored

    def _file(self) -> dict[str, Any]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text())
            for entry in content.values():
                for times in entry["layers"].values():
                    for us in times.values():
                        if not 0 < float(us) < math.inf:
                            raise ValueError(f"a time of {us}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                "`cache` must be a file that `plan_pruning` wrote, or no file. "
                f"{received('cache', str(self.path))} {error}"
            ) from error
        found: dict[str, Any] = content
        return found

    def _store(self) -> None:
        if self.path is None:
            return
        content = self._file()
        content[repr(self.target)] = {
            "processor": processor_name(),
            "layers": self.known,
        }
        text = json.dumps(content, indent=1) + "\n"
        write_file(self.path, text.encode())


def processor_name() -> str:
    """Returns the processor's name, as far as the system tells it."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _what(block: tuple[int, int], density: float) -> str:
    return f"{block[0]}x{block[1]} {round(1 - density, 3):g}"


def _measured(
    layer: LayerShape, masks: Mapping[str, Mask], target: Target
) -> dict[str, float]:
    """Times a dense layer and packed ones, with masks of weights, in turns."""
    import keras

    assert isinstance(target, CpuTarget)
    model, batch = _model(keras, layer)
    made = {"dense": dense_model(model, keras, target)}
    variable = model.layers[-1].kernel
    kernel = np.array(variable)
    for what, mask in masks.items():
        variable.assign(kernel * mask())
        made[what] = packed_model(model, keras, batch, target)
    calls: dict[str, Callable[[], Any]] = {}
    for name, each in made.items():
        serving = serving_of(each, batch)
        content = convert(serving, None, None, "float32", None, target)
        interpreter = runtime.load(content, target.threads)
        interpreter.allocate_tensors()
        calls[name] = _bound(interpreter, content)
    times = interleave_for(calls, _SECONDS)
    return {
        name: 1e6 * float(np.median(taken)) for name, taken in times.items()
    }


def _bound(interpreter: Any, content: bytes) -> Callable[[], Any]:
    def call(_content: bytes = content) -> None:
        interpreter.invoke()

    return call


def _model(keras: Any, layer: LayerShape) -> tuple[Any, int]:
    """A layer alone, and the batch that gives it as many rows."""
    rows = max(1, round(layer.rows))
    if not layer.taps:
        inputs = keras.Input((layer.inputs,))
        core, batch = keras.layers.Dense(layer.outputs, "relu"), rows
    else:
        height = max(n for n in range(1, math.isqrt(rows) + 1) if not rows % n)
        side = math.isqrt(layer.taps)
        taps = (side, side) if side * side == layer.taps else (layer.taps, 1)
        inputs = keras.Input((rows // height, height, layer.inputs))
        core, batch = (
            keras.layers.Conv2D(
                layer.outputs, taps, padding="same", activation="relu"
            ),
            1,
        )
    model = keras.Model(inputs, core(inputs))
    generator = np.random.default_rng(0)
    core.kernel.assign(generator.normal(size=core.kernel.shape))
    return model, batch


def _balanced(
    layer: LayerShape, block: tuple[int, int], density: float
) -> np.ndarray:
    """Keeps blocks at random, equally many for each output block."""
    inputs, outputs = (
        math.ceil(n / side)
        for n, side in zip((layer.inputs, layer.outputs), block)
    )
    mask = balanced_mask(inputs, outputs, 1 - density)
    return np.kron(mask, np.ones(block))[: layer.inputs, : layer.outputs]


def _groups_in_order(layer: LayerShape, groups: int) -> np.ndarray:
    """Keeps a block diagonal."""
    inputs, outputs = (
        np.arange(n) * groups // n for n in (layer.inputs, layer.outputs)
    )
    return np.equal.outer(inputs, outputs).astype(float)
