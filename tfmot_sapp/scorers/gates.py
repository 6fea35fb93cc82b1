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
"""Gates between zero and one that take both values exactly.

A block's gate multiplies its weights. Each function maps trainable numbers, one
per block, to gates or to the share of gates that will be open.
"""

import math

import tensorflow as tf

# The stretched interval of hard concrete gates (Louizos, Welling and Kingma,
# "Learning Sparse Neural Networks through L0 Regularization", arXiv 1712.01312,
# Section 4) and its inverse temperature.
LOW, HIGH, BETA = -0.1, 1.1, 2 / 3

# Where a stretched sigmoid leaves (0, 1): sigmoid(-EDGE) = 0.1 / 1.2.
EDGE = math.log(HIGH / -LOW)


def stretch(share: tf.Tensor) -> tf.Tensor:
    """Stretches (0, 1) to (-0.1, 1.1) and clips it to [0, 1]."""
    return tf.clip_by_value((HIGH - LOW) * share + LOW, 0.0, 1.0)


def stretched_sigmoid(
    gates: tf.Tensor, temperature: tf.Tensor | float
) -> tf.Tensor:
    """Returns gates that are 0 from `-EDGE * temperature` down.

    Args:
        gates: Tensor of any shape.
        temperature: Positive; less is steeper.
    """
    return stretch(tf.sigmoid(gates / temperature))


def moment_matched(gates: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:
    """Returns numbers with the mean and variance of Bernoulli variables.

    They are `keep + sqrt(keep (1 - keep)) (gates - mean) / std`. Inside [0, 1]
    only zeros and ones have those moments (Bhatia and Davis), so what drives
    the numbers into [0, 1] makes them binary.

    Args:
        gates: Tensor of any shape.
        keep: Scalar in (0, 1): the share of ones.
    """
    centred = gates - tf.reduce_mean(gates)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centred)) + 1e-12)
    return keep + tf.sqrt(keep * (1 - keep)) * centred / deviation


def overshoot(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean square of what lies outside [0, 1]."""
    return tf.reduce_mean(
        tf.square(tf.nn.relu(-values)) + tf.square(tf.nn.relu(values - 1))
    )


def hard_concrete(log_alpha: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns a sample of hard concrete gates (arXiv 1712.01312, Equation 10).

    Args:
        log_alpha: Tensor of any shape.
        uniform: Tensor like it, uniform in (0, 1).
    """
    noise = tf.math.log(uniform) - tf.math.log1p(-uniform)
    return stretch(tf.sigmoid((noise + log_alpha) / BETA))


def open_probability(log_alpha: tf.Tensor) -> tf.Tensor:
    """Returns the probability that a hard concrete gate is not zero.

    That is `sigmoid(log_alpha - beta log(-low / high))` (arXiv 1712.01312,
    Equation 12).
    """
    return tf.sigmoid(log_alpha + BETA * EDGE)


def uniform_like(values: tf.Tensor) -> tf.Tensor:
    """Returns numbers uniform in (0, 1), other ones for other `values`.

    They are a function of the values, bit for bit: training that is stopped
    and resumed, and every replica, sees the same noise.
    """
    bits = tf.bitcast(tf.cast(values, tf.float32), tf.int32)
    seed = tf.stack([tf.reduce_sum(bits), tf.size(bits)])
    tiny = 1e-6
    sample = tf.random.stateless_uniform(
        tf.shape(values), seed, tiny, 1 - tiny, tf.float32
    )
    return tf.cast(sample, values.dtype)
