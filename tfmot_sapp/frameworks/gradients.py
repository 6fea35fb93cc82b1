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
"""Gradients, where TensorFlow has them."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def gradients_if_any(
    tape: tf.GradientTape, total: tf.Tensor, sources: Sequence[Any]
) -> list[Any] | None:
    """Returns the gradients of a number.

    Some operations have none, and on some CPUs grouped convolutions haven't.

    Args:
        tape: What has watched the sources.
        total: The number.
        sources: Tensors or variables.

    Returns:
        A gradient or `None` for each source; `None` in place of all if there is
        an operation on the way whose gradient TensorFlow can't compute.
    """
    try:
        return list(tape.gradient(total, list(sources)))
    except (
        LookupError,
        tf.errors.InvalidArgumentError,
        tf.errors.UnimplementedError,
    ):
        return None
