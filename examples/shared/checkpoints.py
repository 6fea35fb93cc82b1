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
"""Checkpoints from which a training goes on as if it had not been stopped.

Keras's own `BackupAndRestore` forgets what a training needs to end alike: the
states of the random numbers that dropout draws. It also deletes its files when
a training has ended, so a command that trains twice would start from the
beginning if it is stopped in the second training. Here the last checkpoint of a
training stays, and whoever gives the same command again gets its weights.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


class Checkpoints:
    """The last epoch of a training, in a folder.

    The weights file holds weights, masks and the optimizer's variables;
    `state.json` names it, so that the two change at the same moment.

    Args:
        folder: The folder. It is made when the first epoch is saved.
        settings: What decides how the training goes, as plain values: a
            checkpoint of other settings is not gone on from.
        writes: Whether this process saves; with several workers one does.
    """

    def __init__(
        self, folder: str, settings: Mapping[str, Any], writes: bool = True
    ):
        self._folder = folder
        # As JSON gives them back.
        self._settings = json.loads(json.dumps(dict(settings)))
        self._writes = writes

    @property
    def _state_path(self) -> str:
        return os.path.join(self._folder, "state.json")

    def restore(self, model: Any) -> int:
        """Puts the last checkpoint's weights into a compiled, built model.

        Args:
            model: The model, as it was before the training.

        Returns:
            The number of epochs that it has been trained; 0 if there is no
            checkpoint of these settings.
        """
        state = self._read()
        if state is None:
            return 0
        if state["settings"] != self._settings:
            print(f"{self._folder}: made with other settings, not gone on from")
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(os.path.join(self._folder, state["weights"]))
        for variable, value in zip(_seed_states(model), state["seeds"]):
            variable.assign(np.array(value, np.uint32))
        print(f"{self._folder}: goes on after {state['epochs']} epochs")
        return state["epochs"]

    def save(self, model: Any, epochs: int) -> None:
        """Saves a model in place of the checkpoint before.

        Args:
            model: The model.
            epochs: Number of epochs that it has been trained.
        """
        if not self._writes:
            # Saving talks to the other workers, so none may leave it out.
            with tempfile.TemporaryDirectory() as folder:
                model.save_weights(os.path.join(folder, "copy.weights.h5"))
            return
        os.makedirs(self._folder, exist_ok=True)
        before = self._read()
        weights = f"epoch_{epochs}.weights.h5"
        partial = os.path.join(self._folder, "partial.weights.h5")
        model.save_weights(partial, overwrite=True)
        os.replace(partial, os.path.join(self._folder, weights))
        state = {
            "epochs": epochs,
            "weights": weights,
            "seeds": [
                keras.ops.convert_to_numpy(variable).tolist()
                for variable in _seed_states(model)
            ],
            "settings": self._settings,
        }
        with open(f"{self._state_path}.partial", "w") as file:
            json.dump(state, file, indent=2)
        os.replace(f"{self._state_path}.partial", self._state_path)
        if before is not None and before["weights"] != weights:
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._folder, before["weights"]))

    def _read(self) -> dict[str, Any] | None:
        if not os.path.exists(self._state_path):
            return None
        with open(self._state_path) as file:
            return json.load(file)


class SaveEachEpoch(keras.callbacks.Callback):
    """Saves a checkpoint after every epoch.

    It belongs behind `UpdatePruningStep`, which sets the weights of masked
    blocks to zero at the end of an epoch.

    Args:
        checkpoints: Where to.
    """

    def __init__(self, checkpoints: Checkpoints):
        super().__init__()
        self._checkpoints = checkpoints

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves the model."""
        self._checkpoints.save(self.model, epoch + 1)


def _seed_states(model: Any) -> list[Any]:
    """Returns the states of random numbers, which no weights file holds."""
    saved = {id(variable) for variable in model.weights}
    return [
        variable for variable in model.variables if id(variable) not in saved
    ]
