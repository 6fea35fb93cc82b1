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
"""Models pruned in PyTorch, converted by litert-torch, packed as files.

Needs what this package does not: `pip install torch torchvision transformers
litert-torch` (CPU wheels will do). They may be installed elsewhere: convert
there, pack and time here.

```
python -m benchmarks.files.from_pytorch --folder=FOLDER --convert
python -m benchmarks.files.from_pytorch --folder=FOLDER
```

In models of torchvision and a small BERT of transformers, all with random
weights, 90 % of the 32x32 blocks of every kernel with 64 channels on each side
are zeroed in PyTorch; `litert_torch` writes `.tflite` files, `pack_tflite`
packs them, and both are timed in turn on one thread.
"""

import pathlib
import time
from typing import Any

from absl import app, flags

FLAGS = flags.FLAGS
_BLOCK = 32
_FEWEST_CHANNELS = 64
_TORCHVISION = ("resnet18", "mobilenet_v3_large", "convnext_tiny")
MODELS = (*_TORCHVISION, "bert")


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("folder", None, "Where the files are.")
    flags.DEFINE_bool("convert", False, "Only write them, by PyTorch.")
    flags.DEFINE_multi_enum("model", list(MODELS), list(MODELS), "Models.")
    flags.DEFINE_float("sparsity", 0.9, "Fraction of the blocks to zero.")
    flags.DEFINE_float("seconds", 10.0, "Time to spend on timing a file.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.mark_flag_as_required("folder")


def main(argv: list[str]) -> None:
    """Converts, or packs and measures."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    folder = pathlib.Path(FLAGS.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FLAGS.model:
        path = folder / f"{name}.tflite"
        if FLAGS.convert:
            convert(name, path)
        else:
            pack(path)


def convert(name: str, path: pathlib.Path) -> None:
    """Prunes a model in PyTorch and writes it as a `.tflite` file.

    Args:
        name: One of `MODELS`.
        path: The file to write.
    """
    import litert_torch
    import torch

    torch.manual_seed(0)
    model, inputs = _bert() if name == "bert" else _of_torchvision(name)
    model.eval()
    density = zero_blocks(model, FLAGS.sparsity)
    litert_torch.convert(model, inputs).export(str(path))
    print(f"{name}: density of the weights {density:.3f}")


def _of_torchvision(name: str) -> tuple[Any, tuple[Any, ...]]:
    import torch
    import torchvision

    model = torchvision.models.get_model(name, weights=None)
    return model, (torch.randn(1, 3, 224, 224),)


def _bert() -> tuple[Any, tuple[Any, ...]]:
    import torch
    import transformers

    config = transformers.BertConfig(
        hidden_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        intermediate_size=2048,
    )

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = transformers.BertForSequenceClassification(config)

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.bert(input_ids=ids, attention_mask=mask).logits

    ids = torch.randint(0, config.vocab_size, (1, 128))
    return Classifier(), (ids, torch.ones_like(ids))


def zero_blocks(model: Any, sparsity: float) -> float:
    """Zeroes blocks of a model's linear layers and convolutions.

    Args:
        model: A `torch.nn.Module`; its weights are changed.
        sparsity: Fraction of the blocks to zero.

    Returns:
        The share of these layers' weights that is left.
    """
    import torch

    kept = total = 0
    for layer in model.modules():
        if not isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            continue
        weight = layer.weight.data
        outputs, inputs, *taps = weight.shape
        if min(outputs, inputs) >= _FEWEST_CHANNELS:
            rows, columns = -(-outputs // _BLOCK), -(-inputs // _BLOCK)
            scores = torch.rand(rows, columns, *taps)
            mask = scores >= scores.quantile(sparsity)
            mask = mask.repeat_interleave(_BLOCK, 0)[:outputs]
            weight *= mask.repeat_interleave(_BLOCK, 1)[:, :inputs]
        kept += int(weight.count_nonzero())
        total += weight.numel()
    return kept / total


def pack(path: pathlib.Path) -> None:
    """Packs a file and times it beside its source.

    Args:
        path: The file.
    """
    import tfmot_sapp as sapp
    from benchmarks.files.one_file import time_both

    packed = path.with_name(f"{path.stem}_packed.tflite")
    start = time.perf_counter()
    result = sapp.pack_tflite(path, packed)
    seconds = time.perf_counter() - start
    dense_time, packed_time = time_both(
        path.read_bytes(), packed.read_bytes(), FLAGS.seconds, FLAGS.realtime
    )
    print(
        f"{path.stem}: packed in {seconds:.1f} s, "
        f"{path.stat().st_size} to {result.size} bytes, "
        f"error {result.max_error:.1e}, {1e3 * dense_time:.2f} to "
        f"{1e3 * packed_time:.2f} ms, {dense_time / packed_time:.2f}x"
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
