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
"""Vision models of keras-hub, of random weights."""

from typing import Any

from benchmarks.architectures.architecture import Architecture


def _vit(size: str) -> Any:
    import keras_hub

    full = size == "full"
    return keras_hub.models.ViTBackbone(
        image_shape=(224, 224, 3) if full else (16, 16, 3),
        patch_size=16 if full else 8,
        num_layers=12 if full else 2,
        num_heads=12 if full else 2,
        hidden_dim=768 if full else 32,
        mlp_dim=3072 if full else 64,
    )


def _vit_classifier(size: str) -> Any:
    import keras_hub

    return keras_hub.models.ViTImageClassifier(_vit(size), num_classes=3)


def _swin(size: str) -> Any:
    import keras_hub

    full = size == "full"
    return keras_hub.models.SwinTransformerBackbone(
        image_shape=(224, 224, 3) if full else (32, 32, 3),
        embed_dim=96 if full else 16,
        depths=(2, 2, 6, 2) if full else (2, 2),
        num_heads=(3, 6, 12, 24) if full else (2, 2),
        window_size=7 if full else 4,
    )


def _mit(size: str) -> Any:
    import keras_hub

    full = size == "full"
    return keras_hub.models.MiTBackbone(
        image_shape=(224, 224, 3) if full else (32, 32, 3),
        num_layers=4 if full else 2,
        hidden_dims=[32, 64, 160, 256] if full else [16, 32],
        layerwise_depths=[2, 2, 2, 2] if full else [1, 1],
        layerwise_num_heads=[1, 2, 5, 8] if full else [1, 2],
        layerwise_sr_ratios=[8, 4, 2, 1] if full else [2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3] if full else [7, 3],
        layerwise_strides=[4, 2, 2, 2] if full else [4, 2],
        max_drop_path_rate=0.1,
    )


def _segformer(size: str) -> Any:
    import keras_hub

    backbone = keras_hub.models.SegFormerBackbone(
        image_encoder=_mit("full") if size == "full" else _small_mit(),
        projection_filters=256 if size == "full" else 16,
        image_shape=(224, 224, 3) if size == "full" else (64, 64, 3),
    )
    return keras_hub.models.SegFormerImageSegmenter(backbone, num_classes=4)


def _small_mit() -> Any:
    import keras_hub

    # Where its last features are one pixel keras-hub loses their channels.
    return keras_hub.models.MiTBackbone(
        image_shape=(64, 64, 3),
        num_layers=4,
        hidden_dims=[8, 16, 24, 32],
        layerwise_depths=[1, 1, 1, 1],
        layerwise_num_heads=[1, 1, 2, 2],
        layerwise_sr_ratios=[2, 2, 1, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
    )


def _sam(size: str) -> Any:
    import keras_hub

    full = size == "full"
    # Its attention takes 12 GB where images have 1,024 pixels a side.
    side = 512 if full else 32
    hidden = 256 if full else 16
    return keras_hub.models.SAMBackbone(
        image_encoder=keras_hub.models.ViTDetBackbone(
            hidden_size=768 if full else 16,
            num_layers=12 if full else 2,
            intermediate_dim=3072 if full else 32,
            num_heads=12 if full else 2,
            global_attention_layer_indices=[2, 5, 8, 11] if full else [1],
            patch_size=16 if full else 8,
            num_output_channels=hidden,
            window_size=14 if full else 2,
            image_shape=(side, side, 3),
        ),
        prompt_encoder=keras_hub.layers.SAMPromptEncoder(
            hidden_size=hidden,
            image_embedding_size=(32, 32) if full else (4, 4),
            input_image_size=(side, side),
            mask_in_channels=16,
        ),
        mask_decoder=keras_hub.layers.SAMMaskDecoder(
            num_layers=2,
            hidden_size=hidden,
            intermediate_dim=2048 if full else 32,
            num_heads=8 if full else 2,
            embedding_dim=hidden,
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=hidden,
        ),
    )


def _resnet(size: str, image_shape: tuple[Any, ...]) -> Any:
    import keras_hub

    full = size == "full"
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512] if full else [64] * 4,
        stackwise_num_blocks=[3, 4, 6, 3] if full else [2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block" if full else "basic_block",
        image_shape=image_shape,
    )


def _retinanet(size: str) -> Any:
    import keras_hub

    shape = (512, 512, 3) if size == "full" else (64, 64, 3)
    return keras_hub.models.RetinaNetBackbone(
        image_encoder=_resnet(size, shape),
        min_level=3,
        max_level=5,
        use_p5=False,
        image_shape=shape,
    )


def _deeplab(size: str) -> Any:
    import keras_hub

    shape = (512, 512, 3) if size == "full" else (64, 64, 3)
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=_resnet(size, shape),
        projection_filters=48 if size == "full" else 8,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=[6, 12, 18],
        image_shape=shape,
    )
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=3)


def _clip(size: str) -> Any:
    import keras_hub

    full = size == "full"
    return keras_hub.models.CLIPBackbone(
        vision_encoder=keras_hub.models.CLIPVisionEncoder(
            patch_size=32 if full else 8,
            hidden_dim=768 if full else 32,
            num_layers=12 if full else 2,
            num_heads=12 if full else 2,
            intermediate_dim=3072 if full else 64,
            image_shape=(224, 224, 3) if full else (16, 16, 3),
        ),
        text_encoder=keras_hub.models.CLIPTextEncoder(
            vocabulary_size=49408 if full else 100,
            embedding_dim=512 if full else 32,
            hidden_dim=512 if full else 32,
            num_layers=12 if full else 2,
            num_heads=8 if full else 2,
            intermediate_dim=2048 if full else 64,
            max_sequence_length=77 if full else 8,
        ),
        projection_dim=512 if full else 16,
    )


VISION = tuple(
    Architecture(name, make, integers, needs="keras_hub")
    for name, make, integers in (
        ("ViT", _vit, {}),
        ("ViTImageClassifier", _vit_classifier, {}),
        ("SwinTransformer", _swin, {}),
        ("MiT", _mit, {}),
        ("SegFormer", _segformer, {}),
        ("SAM", _sam, {"labels": 2}),
        ("RetinaNet", _retinanet, {}),
        ("DeepLabV3", _deeplab, {}),
        ("CLIP", _clip, {"token_ids": 100}),
    )
)
