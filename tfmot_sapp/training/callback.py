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
"""What the callbacks of this project have in common."""

from typing import Any

import keras


class TrainingCallback(keras.callbacks.Callback):
    """Base class of callbacks for `fit` of Keras 3 and of tf_keras.

    tf_keras takes a callback of Keras 3, since it looks at methods and not at
    classes, but its list of callbacks asks for more than Keras 3 defines.
    """

    _supports_tf_logs = True
    _chief_worker_only = False

    def __init__(self) -> None:
        super().__init__()
        self._trained: Any = None

    def set_model(self, model: Any) -> None:
        """Sets the model that is trained.

        Args:
            model: A model of either Keras.
        """
        super().set_model(model)
        # Keras 3's `model` property is not there for models of tf_keras.
        self._trained = model

    # tf_keras skips the hooks of callbacks that do not implement them.
    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False
