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
"""The class that files of wrapped models name, for keras."""

from typing import Any

import keras

from tfmot_sapp.training.keras_wrapper import PruneBlocks
from tfmot_sapp.training.wrapped_models import NAME, PACKAGE, wrapped_again


@keras.saving.register_keras_serializable(package=PACKAGE, name=NAME)
class PrunedModel(keras.Model):
    """What is in a file for a wrapped model with a class of its own."""

    def get_config(self) -> dict[str, Any]:
        """Is there because Keras asks each class that it registers."""
        raise TypeError("A file has this class, and no model.")

    @classmethod
    def from_config(cls, config: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the model of the user's class, wrapped as it was."""
        plain = keras.saving.deserialize_keras_object(config["model"])
        return wrapped_again(plain, config["wrappers"], PruneBlocks)
