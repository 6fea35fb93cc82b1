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
"""`pack_blocks`: a model that stores and multiplies only the kept blocks.

Packing is a small compiler (`compiler/pack_keras.py`). It reads a Keras model
into a graph (`readers/`), folds batch norms and appends activations and
additions to the layers they follow (`passes/`), folds constant channels away
and drops what nothing reads (`analysis/`); chooses for every layer how to
compute it and for every activation whether it is one tensor or a list of pieces
(`choose/`, by the costs of the target or by timing, `export/tuning.py`); and
writes a Keras model of packed layers (`emit/`, `lowerings/`). What it doesn't
understand passes through, and the result is compared with the source before it
is returned (`export/same_outputs.py`).

It looks only at zeros in weights, so it serves any model, however it was
pruned:

```python
packed = sapp.pack_blocks(sapp.strip_pruning(model))
packed.save("packed.keras")
sapp.export_tflite(packed, "packed.tflite")
```
"""

from typing import Any

from tfmot_sapp.base.checks import check_count, check_instance
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.compiler.emit.packing_report import mark_packed, packing_of
from tfmot_sapp.compiler.pack_keras import dense_model, packed_model
from tfmot_sapp.export.same_outputs import check_same_outputs
from tfmot_sapp.export.tuning import (
    Tuning,
    assumed_costs,
    fastest,
    target_of,
)
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.compiling import compile_like, keep_out_of_files
from tfmot_sapp.frameworks.private.keras3 import build_shapes_of
from tfmot_sapp.frameworks.private.layers import layers_inside
from tfmot_sapp.frameworks.which_keras import check_model, keras_of
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target

__all__ = ["Tuning", "pack_blocks", "packing_of"]


def pack_blocks(
    model: Any,
    batch_size: int = 1,
    tune: Tuning | None = None,
    target: Target | None = None,
) -> Any:
    """Returns a model that stores and multiplies only the kept blocks.

    Blocks are found from zeros in the weights of Dense and convolution layers;
    nothing needs to be known about how they came there. Layers that packing
    doesn't know pass through unchanged; layers without pruned blocks, or too
    dense to gain, stay dense. The result computes what `model` computes at
    inference, within float32 rounding, and is compared with it on random
    inputs: batch norms are folded and dropout is gone, so it's for
    inference, not for training.

    Args:
        model: A built Functional or Sequential model of `keras` (3) or
            `tf_keras`, without pruning wrappers. It isn't changed. A subclassed
            model of Keras 3 is accepted when its `call` works on symbolic
            inputs.
        batch_size: The batch that the result should be fast for, at least 1.
            It takes any.
        tune: `None` to choose by a cost model, the same on every machine; or a
            `Tuning` to time candidates on this one. The dense model is one of
            them, so that the result isn't slower than it.
        target: Where the result will run: `CpuTarget(threads=4)`, `GpuTarget()`
            or `NpuTarget()`. Where the dense model is estimated to be faster
            there, the result is dense. Defaults to what `tune` is for, or to
            one thread of a CPU.

    Returns:
        A Functional model of the same Keras with the same inputs and outputs.
        `packing_of` says what was chosen for each layer. It is compiled as
        `model` is, by the rules of `strip_pruning`, so that it can be
        evaluated, but not that of a class with steps of its own. It is made to
        be run: train before packing, since what only training needs, such as
        dropout, is gone.

    Raises:
        TypeError: If `model` is no model, `tune` no `Tuning`, or `target` no
            target.
        ValueError: If the model is still wrapped for pruning, isn't built, or
            has no graph that can be read; if it doesn't run on random
            inputs, or the result computes something else; if `batch_size` is
            less than 1, or `tune` is for another target than `target`.

    Example:

    >>> import keras, numpy as np
    >>> inputs = keras.Input((512,))
    >>> model = keras.Model(inputs, keras.layers.Dense(512, name="d")(inputs))
    >>> kernel = np.kron(np.eye(8), np.ones((64, 64)))
    >>> model.get_layer("d").set_weights([kernel, np.zeros(512)])
    >>> packing_of(pack_blocks(model))[0]["parameter_density"]
    0.125
    """
    _check(model, batch_size, tune)
    target = _target(target, tune)
    keras = keras_of(model)
    source, specs = model, None
    if not is_graph(model):
        model = _traced(model, keras)
        specs = model.input
    packed = _packed(model, keras, batch_size, tune, target)
    check_same_outputs(source, packed, specs)
    # Packed weights are in the places of several, or of parts of them.
    compile_like(source, packed, lambda variable: None)
    keep_out_of_files(packed)
    mark_packed(packed)
    return packed


def _packed(
    model: Any,
    keras: Any,
    batch_size: int,
    tune: Tuning | None,
    target: Target,
) -> Any:
    if tune is None:
        return packed_model(model, keras, batch_size, target)
    candidates = [
        dense_model(model, keras, target),
        packed_model(model, keras, batch_size, target, pieces_allowed=False),
        *(
            packed_model(model, keras, batch_size, target, costs)
            for costs in assumed_costs(tune)
        ),
    ]
    return fastest(candidates, batch_size, tune)


def _target(target: Any, tune: Tuning | None) -> Target:
    if target is None:
        return CpuTarget() if tune is None else target_of(tune)
    found = check_target(target)
    if tune is not None and target_of(tune) != found:
        raise ValueError(
            "`target` must be what `tune` is for: leave it out, or write "
            "`Tuning(target=...)`. "
            f"Received: target={found!r} and tune={tune!r}."
        )
    return found


def _traced(model: Any, keras: Any) -> Any:
    """A subclassed model as a Functional one, where its `call` allows it."""
    shapes = build_shapes_of(model)
    shape = next(iter(shapes.values()), None) if len(shapes) == 1 else None
    reason = "its input shape isn't known"
    if keras.__name__ == "keras" and shape is not None and _is_shape(shape):
        inputs = keras.Input((*shape[1:],))
        try:
            return keras.Model(inputs, model.call(inputs), name=model.name)
        except (TypeError, ValueError, AttributeError) as error:
            reason = f"its `call` can't be traced ({error})"
    raise ValueError(
        "`model` must be a built Functional or Sequential model. Received: "
        f"{type(model).__name__} '{model.name}', and {reason}. Build it by "
        "calling it on data, or express it as `keras.Model(inputs, outputs)`."
    )


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and all(
        n is None or isinstance(n, int) for n in shape
    )


def _check(model: Any, batch_size: Any, tune: Any) -> None:
    check_model(model)
    check_count(batch_size, "batch_size")
    if tune is not None:
        check_instance(
            tune,
            "tune",
            Tuning,
            "`None` or a `tfmot_sapp.Tuning`, which times candidates",
        )
    for layer in layers_inside(model):
        if type(layer).__name__ == "PruneBlocks":
            raise ValueError(
                f"`model` is still wrapped for pruning (layer '{layer.name}'). "
                "Call `strip_pruning(model)` first and pack its result."
            )
        if isinstance(layer, PackedComputation):
            raise ValueError(
                f"`model` is packed already (layer '{layer.name}'). Pack the "
                "stripped model instead."
            )
