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
"""Configs of scorers, schedules and allocations, for both Keras.

A pruned layer's config holds its scorer, schedule and allocation as plain
dictionaries, so it goes through JSON and is the same in Keras 3 and tf_keras.
Classes register themselves when they are defined (`Registered`); classes of
other people are found through Keras's own registry or, if the module they come
from has been imported, by name.
"""

import sys
from typing import Any, ClassVar

_CLASSES: dict[str, type] = {}


class Registered:
    """Mixin: subclasses can be restored from their config.

    A subclass needs a `get_config` that returns the arguments of its
    constructor.
    """

    _config_key: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._config_key = f"{cls.__module__}>{cls.__qualname__}"
        _CLASSES[cls._config_key] = cls

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal object."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes an object from what `get_config` returned.

        Values that `serialize` made, such as the schedule that a schedule
        changes, are made objects again.
        """
        return cls(
            **{
                name: deserialize(value) if _is_serialized(value) else value
                for name, value in config.items()
            }
        )


def serialize(obj: Any) -> dict[str, Any]:
    """Returns a dictionary of plain values from which `obj` can be made again.

    Args:
        obj: An object with a `get_config` method: a scorer, an allocation, a
            schedule of this project, of TF-MOT or of the user's own.

    Returns:
        A dictionary with the keys "module", "class_name" and "config".

    Raises:
        TypeError: If the object has no `get_config`.
    """
    cls = type(obj)
    if not callable(getattr(obj, "get_config", None)):
        raise TypeError(
            f"{cls.__qualname__} must define `get_config()` so that a pruned "
            f"model can be saved. Received: {obj!r}."
        )
    config = obj.get_config()
    # TF-MOT's schedules return {'class_name', 'config'}.
    if set(config) == {"class_name", "config"}:
        config = config["config"]
    return {
        "module": cls.__module__,
        "class_name": cls.__qualname__,
        "config": config,
    }


def deserialize(config: dict[str, Any]) -> Any:
    """Makes an object from what `serialize` returned.

    Args:
        config: A dictionary with the keys "module", "class_name" and "config".

    Returns:
        The object.

    Raises:
        ValueError: If its class is not known in this process.
    """
    cls = _find_class(config["module"], config["class_name"])
    settings = dict(config["config"])
    if hasattr(cls, "from_config"):
        return cls.from_config(settings)
    return cls(**settings)


def _is_serialized(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {
        "module",
        "class_name",
        "config",
    }


def _find_class(module: str, name: str) -> type:
    own = _CLASSES.get(f"{module}>{name}")
    if own is not None:
        return own
    for keras in ("keras", "tf_keras"):
        if keras not in sys.modules:
            continue
        utils = sys.modules[keras].utils
        for cls in utils.get_custom_objects().values():
            if (
                getattr(cls, "__qualname__", None) == name
                and getattr(cls, "__module__", None) == module
            ):
                return cls
    # What a file names is looked up among the modules that are already here,
    # and never imported on the file's behalf.
    if module in sys.modules:
        found: Any = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type):
            return found
    raise ValueError(
        f"The class `{name}` of module `{module}`, which this model was saved "
        "with, is not known here. Import the module that defines it before "
        "loading the model, or decorate the class with "
        "`@keras.saving.register_keras_serializable()`."
    )
