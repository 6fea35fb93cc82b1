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
"""Language models of keras-hub, of random weights."""

from typing import Any

from benchmarks.architectures.architecture import Architecture

_TOKENS = {"token_ids": 100}
_BOTH = {
    "token_ids": 100,
    "encoder_token_ids": 100,
    "decoder_token_ids": 100,
}


def _encoder(size: str) -> dict[str, Any]:
    if size == "full":
        return {
            "vocabulary_size": 30000,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "intermediate_dim": 3072,
        }
    return {
        "vocabulary_size": 100,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 32,
        "intermediate_dim": 64,
        "max_sequence_length": 16,
    }


def _grouped(size: str) -> dict[str, Any]:
    """Arguments of decoders with grouped queries, full at 100 M parameters."""
    if size == "full":
        return {
            "vocabulary_size": 32000,
            "num_layers": 12,
            "num_query_heads": 12,
            "num_key_value_heads": 4,
            "hidden_dim": 768,
            "intermediate_dim": 2048,
        }
    return {
        "vocabulary_size": 100,
        "num_layers": 2,
        "num_query_heads": 4,
        "num_key_value_heads": 2,
        "hidden_dim": 32,
        "intermediate_dim": 64,
    }


def _backbone(name: str, size: str, **arguments: Any) -> Any:
    import keras_hub

    return getattr(keras_hub.models, f"{name}Backbone")(
        **{**_encoder(size), **arguments}
    )


def _decoder(name: str, size: str, **arguments: Any) -> Any:
    import keras_hub

    return getattr(keras_hub.models, f"{name}Backbone")(
        **{**_grouped(size), **arguments}
    )


def _bert_classifier(size: str) -> Any:
    import keras_hub

    return keras_hub.models.BertTextClassifier(
        _backbone("Bert", size), num_classes=3
    )


def _gpt2_causal(size: str) -> Any:
    import keras_hub

    return keras_hub.models.GPT2CausalLM(_backbone("GPT2", size))


def _llama_causal(size: str) -> Any:
    import keras_hub

    return keras_hub.models.LlamaCausalLM(_decoder("Llama", size))


def _gemma(size: str) -> Any:
    if size == "full":
        return _decoder("Gemma", size, head_dim=64, num_layers=20)
    return _decoder("Gemma", size, head_dim=8)


def _albert(size: str) -> Any:
    return _backbone("Albert", size, embedding_dim=16)


def _t5(size: str) -> Any:
    arguments = _encoder(size)
    arguments.pop("max_sequence_length", None)
    import keras_hub

    return keras_hub.models.T5Backbone(**arguments)


def _whisper(size: str) -> Any:
    import keras_hub

    arguments = _encoder(size)
    if size == "small":
        arguments.pop("max_sequence_length")
        arguments["num_mels"] = 8
        arguments["max_encoder_sequence_length"] = 16
        arguments["max_decoder_sequence_length"] = 16
    return keras_hub.models.WhisperBackbone(**arguments)


def _bart(size: str) -> Any:
    return _backbone("Bart", size)


LANGUAGE = tuple(
    Architecture(name, make, integers, needs="keras_hub")
    for name, make, integers in (
        ("Bert", lambda size: _backbone("Bert", size), _TOKENS),
        ("BertTextClassifier", _bert_classifier, _TOKENS),
        ("DistilBert", lambda size: _backbone("DistilBert", size), _TOKENS),
        ("Roberta", lambda size: _backbone("Roberta", size), _TOKENS),
        ("Albert", _albert, _TOKENS),
        ("DebertaV3", lambda size: _backbone("DebertaV3", size), _TOKENS),
        ("GPT2", lambda size: _backbone("GPT2", size), _TOKENS),
        ("GPT2CausalLM", _gpt2_causal, _TOKENS),
        ("Gemma", _gemma, _TOKENS),
        ("Llama", lambda size: _decoder("Llama", size), _TOKENS),
        ("LlamaCausalLM", _llama_causal, _TOKENS),
        ("Mistral", lambda size: _decoder("Mistral", size), _TOKENS),
        ("T5", _t5, _BOTH),
        ("Whisper", _whisper, _BOTH),
        ("Bart", _bart, _BOTH),
    )
)
