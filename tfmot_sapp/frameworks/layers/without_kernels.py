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
"""Layers that do nothing at inference, reshape, or prepare data."""

from tfmot_sapp.frameworks.layers.kind import LayerKind, by_rank

WITHOUT_KERNELS = (
    LayerKind(
        (
            "Identity",
            "Dropout",
            *by_rank(["SpatialDropout"]),
            "AlphaDropout",
            "GaussianDropout",
            "GaussianNoise",
            "ActivityRegularization",
        ),
        effect="nothing",
    ),
    LayerKind(("Flatten",), effect="flatten"),
    LayerKind(("Reshape",), effect="reshape"),
    LayerKind(
        ("InputLayer", "Lambda", "Masking", "Permute", "RepeatVector")
        + ("Rescaling", "Resizing", "CenterCrop")
        + ("CategoryEncoding", "Discretization", "Hashing", "HashedCrossing")
        + ("IntegerLookup", "StringLookup", "TextVectorization")
        + ("MelSpectrogram", "STFTSpectrogram", "MaxNumBoundingBoxes")
    ),
    LayerKind(
        ("AugMix", "AutoContrast", "CutMix", "Equalization", "MixUp")
        + ("ContrastLimitedAdaptiveHistogramEqualization", "RandAugment")
        + ("RandomBrightness", "RandomColorDegeneration", "RandomColorJitter")
        + ("RandomContrast", "RandomCrop", "RandomElasticTransform")
        + ("RandomErasing", "RandomFlip", "RandomGaussianBlur")
        + ("RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert")
        + ("RandomPerspective", "RandomPosterization", "RandomRotation")
        + ("RandomSaturation", "RandomSharpness", "RandomShear")
        + ("RandomTranslation", "RandomWidth", "RandomZoom", "Solarization")
    ),
)
