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
"""Which class the packed layers of a Keras are of."""

from typing import Any


def packed_layer_class(keras: Any) -> Any:
    """Returns the class of packed layers of a Keras, and imports no other.

    Args:
        keras: The module, `keras` or `tf_keras`.
    """
    if keras.__name__ == "keras":
        from tfmot_sapp.compiler.emit import keras_packed_layer

        return keras_packed_layer.PackedLayer
    from tfmot_sapp.compiler.emit import tf_keras_packed_layer

    return tf_keras_packed_layer.PackedLayer
