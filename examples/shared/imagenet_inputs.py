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
"""ImageNet's images as networks are trained and measured on them."""

import dataclasses
from typing import Any

import tensorflow as tf

# Mean and deviation of ImageNet's channels, of 255.
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Maps examples of TFDS's `imagenet2012` to images and labels.

    Args:
        side: Side of the images.
    """

    side: int

    def training(self, example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Crops a random part of 8 to 100 % of the image, flipped or not."""
        image = example["image"]
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.shape(image),
            tf.zeros((1, 0, 4)),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            use_image_if_no_bounding_boxes=True,
        )
        image = self._resized(tf.slice(image, begin, size))
        return tf.image.random_flip_left_right(image), example["label"]

    def validation(self, example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Cuts the middle 7/8 of the image."""
        image = example["image"]
        shape = tf.shape(image)[:2]
        least = tf.cast(tf.reduce_min(shape), tf.float32)
        crop = tf.cast(least * 0.875, tf.int32)
        begin = (shape - crop) // 2
        image = tf.slice(image, [begin[0], begin[1], 0], [crop, crop, 3])
        return self._resized(image), example["label"]

    def _resized(self, image: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(image, (self.side, self.side))
        image = tf.ensure_shape(image, (self.side, self.side, 3))
        return (image - tf.constant(MEAN)) / tf.constant(DEVIATION)
