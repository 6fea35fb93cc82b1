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
"""Real architectures, small: wrapped, trained, stripped, saved and loaded.

The files of each group are loaded by another process, which does not know what
made them.
"""

import importlib
import importlib.util
import warnings

import keras as keras3
import numpy as np
import pytest

import tfmot_sapp as sapp
from benchmarks.architectures.applications import APPLICATIONS
from benchmarks.architectures.attempt import attempt, train, wrap
from benchmarks.architectures.language import LANGUAGE
from benchmarks.architectures.user_models import user_models
from benchmarks.architectures.vision import VISION

HUB = ("BertTextClassifier", "Albert", "DebertaV3", "GPT2CausalLM", "Gemma")
HUB += ("LlamaCausalLM", "Mistral", "ViTImageClassifier")
needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="needs keras-hub"
)
ROUNDING = 1e-4
# Scores of its outputs are small: positions or heads of a few values.
LEAST_SHARE = 0.9


def group(name):
    if name == "applications":
        return [a for a in APPLICATIONS if a.name == "MobileNet"]
    if name == "hub":
        return [a for a in (*LANGUAGE, *VISION) if a.name in HUB]
    return user_models(importlib.import_module(name))


@pytest.mark.parametrize(
    "name",
    [
        "keras",
        "tf_keras",
        "applications",
        pytest.param("hub", marks=needs_hub),
    ],
)
def test_architectures_come_through(name, forks, tmp_path):
    folders = []
    for architecture in group(name):
        folder = tmp_path / architecture.name.partition(" ")[0]
        folders.append(folder)
        findings = attempt(architecture, "small", 8, folder)
        where = f"{architecture.name}: {findings}"
        assert findings.share >= LEAST_SHARE, where
        assert findings.wrapped_error <= ROUNDING, where
        assert findings.stripped_error <= ROUNDING, where
        assert findings.class_kept, where
    loaded = forks.module(
        "benchmarks.architectures.load",
        "tf_keras" if name == "tf_keras" else "keras",
        *folders,
    )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    errors = dict(line.split() for line in loaded.stdout.splitlines())
    assert len(errors) == 2 * len(folders)
    assert {k: v for k, v in errors.items() if float(v) > ROUNDING} == {}


@needs_hub
def test_a_wrapped_causal_model_generates():
    (gpt2,) = (a for a in LANGUAGE if a.name == "GPT2CausalLM")
    model = gpt2.make("small")
    prompt = {
        "token_ids": np.array([[5, 6, 7, 0, 0, 0, 0, 0]]),
        "padding_mask": np.array([[1, 1, 1, 0, 0, 0, 0, 0]]),
    }
    wrapped = wrap(model, 8)

    def generated(each):
        each.compile(sampler="greedy", run_eagerly=True)
        return each.generate(prompt, stop_token_ids=None)["token_ids"]

    np.testing.assert_array_equal(generated(wrapped), generated(model))
    train(wrapped, gpt2.inputs(model))
    stripped = sapp.strip_pruning(wrapped)
    np.testing.assert_array_equal(generated(stripped), generated(wrapped))


@needs_hub
def test_a_causal_model_keeps_its_preprocessor_and_tokenizer():
    import keras_hub

    # A tokenizer that gives its vocabulary as the keys of a dictionary.
    words = ["<|endoftext|>", "a", "b", "Ġ", "Ġa", "Ġb"]
    tokenizer = keras_hub.tokenizers.GPT2Tokenizer(
        {word: index for index, word in enumerate(words)}, ["Ġ a", "Ġ b"]
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=8
    )
    backbone = keras_hub.models.GPT2Backbone(
        len(words), 1, 2, 16, 32, max_sequence_length=8
    )
    model = keras_hub.models.GPT2CausalLM(backbone, preprocessor)

    stripped = sapp.strip_pruning(wrap(model, 8))

    assert stripped.preprocessor is preprocessor
    for each in (model, stripped):
        each.compile(sampler="greedy", run_eagerly=True)
    assert stripped.generate("a b") == model.generate("a b")


def test_little_that_is_pruned_is_said():
    class Own(keras3.layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(shape[-1], 64))

        def call(self, x):
            return x @ self.matrix

    model = keras3.Sequential(
        [keras3.Input((32,)), Own(name="own"), keras3.layers.Dense(8)]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrapped = wrap(model, 8)
    (warning,) = caught
    assert "Only 20 % of the weights" in str(warning.message)
    assert "`own` (2,048 weights): no kernel known" in str(warning.message)
    assert sapp.report(wrapped).note in str(warning.message)
    assert "Only 20 %" in str(sapp.report(wrapped))
