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
"""Names of classes in files, and the only classes that files may name.

A pruned layer's config holds its scorer, schedule and allocation as plain
dictionaries, which go through JSON and are the same in Keras 3 and tf_keras:

```python
{"registered_name": "tfmot_sapp>Magnitude", "config": {"order": 2.0}}
```

A name says nothing about the module that a class stands in, so that files
outlive a move. Objects are made only of classes that were declared for it: the
subclasses of `Registered`, what the user registered with Keras, and TF-MOT's
schedules. A file that names anything else is refused, whatever is imported.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tfmot_sapp.base.wording import received

_PACKAGE = "tfmot_sapp"
_KERASES = ("keras", "tf_keras")

_CLASSES: dict[str, type] = {}
# The base classes of other libraries whose subclasses files may name, by the
# library's name in files.
_LIBRARIES: dict[str, type] = {}
_IMPORTERS: list[Callable[[], None]] = []


class Registered:
    """Mixin: subclasses can be restored from their config.

    The class statement registers a subclass: those of this package as
    `tfmot_sapp>Name`, those of users as `module:Name`, the module being their
    own. A subclass needs a `get_config` that returns the arguments of its
    constructor; a dataclass has it already.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = _default_name(cls)
        known = _CLASSES.get(name)
        if known is not None and known.__module__ != cls.__module__:
            raise TypeError(
                f"The class {cls!r} needs a name of its own. Received: "
                f"`{name}`, under which {known!r} stands in files."
            )
        _CLASSES[name] = cls

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal object, as plain values."""
        if not dataclasses.is_dataclass(self):
            return {}
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.init
        }
        return {name: _plain(value) for name, value in values.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes an object from what `get_config` returned.

        Values that `serialize` made, such as the schedule that a schedule
        changes, are made objects again, also in lists and dictionaries.

        Raises:
            ValueError: If an argument is missing or unknown.
        """
        _check_arguments(cls, config)
        return cls(**{name: _restored(v) for name, v in config.items()})


def import_when_needed(importer: Callable[[], None]) -> None:
    """Notes how to import the classes of this package that files may name.

    Args:
        importer: Called when a file names a class of this package that has not
            been defined in this process. It imports the same modules whatever
            the file says.
    """
    _IMPORTERS.append(importer)


def serialize(obj: Any) -> dict[str, Any]:
    """Returns a dictionary of plain values from which `obj` can be made again.

    Args:
        obj: An object with a `get_config` method: a scorer, an allocation, a
            schedule of this project, of TF-MOT or of the user's own.

    Returns:
        A dictionary with the keys "registered_name" and "config".

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
    return {"registered_name": registered_name(cls), "config": config}


def deserialize(config: Any) -> Any:
    """Makes an object from what `serialize` returned, now or in version 0.1.0.

    Args:
        config: A dictionary with the keys "registered_name" and "config", or,
            as version 0.1.0 wrote it, "module", "class_name" and "config".

    Returns:
        The object.

    Raises:
        ValueError: If it names a class that is not registered, or the config
            doesn't fit its class.
    """
    if not is_serialized(config):
        raise ValueError(
            "The config of a pruned layer must name a registered class by "
            f"`registered_name` and `config`. {received('config', config)}"
        )
    name = _name_in(config)
    settings = config["config"]
    if not isinstance(settings, dict):
        raise ValueError(
            f"The config of `{name}` must be a dictionary. "
            f"{received('config', settings)}"
        )
    cls = _find_class(name)
    try:
        make = getattr(cls, "from_config", None)
        return cls(**settings) if make is None else make(dict(settings))
    except Exception as error:
        # Whatever a class makes of a damaged config, the file is to blame.
        raise ValueError(
            f"`{name}` can't be made from its config: {error} "
            f"{received('config', settings)}"
        ) from error


def is_serialized(value: Any) -> bool:
    """Tells what `serialize` made, now or in version 0.1.0, from other values.

    Args:
        value: A value of a config.
    """
    return isinstance(value, dict) and (
        set(value) == {"registered_name", "config"}
        or set(value) == {"module", "class_name", "config"}
    )


def registered_name(cls: type) -> str:
    """Returns the name under which a class stands in files.

    Args:
        cls: The class.

    Returns:
        `tfmot_sapp>Name`, `tfmot>Name`, the name that the class is registered
        under with Keras, or `module:Name`.
    """
    own = _default_name(cls)
    if own.partition(">")[0] in (_PACKAGE, *_LIBRARIES):
        return own
    for keras in _loaded_kerases():
        name: str = keras.saving.get_registered_name(cls)
        if ">" in name and keras.saving.get_registered_object(name) is cls:
            return name
    return own


def _default_name(cls: type) -> str:
    return _name_from_module(cls.__module__, cls.__qualname__)


def _name_from_module(module: str, name: str) -> str:
    if module.partition(".")[0] == _PACKAGE:
        return f"{_PACKAGE}>{name}"
    for library, base in _LIBRARIES.items():
        if module == base.__module__:
            return f"{library}>{name}"
    return f"{module}:{name}"


def _name_in(config: dict[str, Any]) -> str:
    keys = [key for key in config if key != "config"]
    if not all(isinstance(config[key], str) for key in keys):
        raise ValueError(
            "The name of a class must be a string. Received: "
            f"{ {key: config[key] for key in keys} }."
        )
    if keys == ["registered_name"]:
        name: str = config["registered_name"]
        return name
    return _name_from_module(config["module"], config["class_name"])


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return serialize(value)


def _restored(value: Any) -> Any:
    if is_serialized(value):
        return deserialize(value)
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return value


def _check_arguments(cls: type, config: dict[str, Any]) -> None:
    parameters = inspect.signature(cls).parameters.values()
    named = {
        parameter.name: parameter.default is parameter.empty
        for parameter in parameters
        if parameter.kind
        in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
        named = {**dict.fromkeys(config, False), **named}
    unknown = sorted(map(str, set(config) - set(named)))
    missing = sorted(
        n for n, needed in named.items() if needed and n not in config
    )
    if unknown or missing:
        raise ValueError(
            f"The config of `{registered_name(cls)}` must hold the arguments "
            f"of its constructor, {list(named)}; unknown are {unknown}, "
            f"missing are {missing}. {received('config', config)}"
        )


def _find_class(name: str) -> type:
    package, _, title = name.partition(">")
    if name not in _CLASSES and package not in _LIBRARIES:
        for importer in _IMPORTERS:
            importer()
    if name in _CLASSES:
        return _CLASSES[name]
    if package in _LIBRARIES:
        found = _find_in_library(_LIBRARIES[package], title)
    elif package == _PACKAGE:
        # What else is registered under this name, such as the layers, is for
        # Keras to make.
        found = None
    else:
        found = next(_inherited(name), None)
        found = found or next(_registered_with_keras(name), None)
    if found is None:
        raise ValueError(
            f"The class `{name}`, which this model was saved with, is not "
            "registered here, and no other class is made from a file. If it "
            "is yours and you trust the file, decorate it with "
            "`@keras.saving.register_keras_serializable()` (of `tf_keras` for "
            "a tf_keras model) and import its module before loading the model. "
            f"Received: the name {name!r}."
        )
    return found


def declare_library(name: str, base: type) -> None:
    """Lets files name the classes that inherit from one of a library's.

    To inherit from it is to be registered, as for this package's own classes.

    Args:
        name: What the library is called in files.
        base: The class.
    """
    _LIBRARIES[name] = base


def _inherited(name: str) -> Iterator[type]:
    """Yields the classes of this process that inherit from a library's."""
    waiting = list(_LIBRARIES.values())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if _default_name(cls) == name:
            yield cls


def _find_in_library(base: type, name: str) -> type | None:
    found = getattr(sys.modules[base.__module__], name, None)
    if (
        isinstance(found, type)
        and issubclass(found, base)
        and found.__module__ == base.__module__
    ):
        return found
    return None


def _registered_with_keras(name: str) -> Iterator[type]:
    """Yields the classes that the user registered with Keras under a name.

    A class that was registered only after its model was saved stands in the
    file by its module and name; one that is passed as `custom_objects` stands
    in Keras's registry by its bare name.
    """
    module, _, title = name.rpartition(":")
    for keras in _loaded_kerases():
        candidates = [
            keras.saving.get_registered_object(name),
            keras.saving.get_registered_object(title),
        ]
        candidates += [
            cls
            for cls in keras.saving.get_custom_objects().values()
            if getattr(cls, "__module__", None) == module
            and getattr(cls, "__qualname__", None) == title
        ]
        for cls in candidates:
            if isinstance(cls, type) and not _is_of_keras(cls):
                yield cls


def _is_of_keras(cls: type) -> bool:
    # Keras itself makes layers and the like, under rules of its own about
    # what a file may run, which one Keras can't enforce for the other.
    return any(
        str(base.__module__).partition(".")[0] in _KERASES
        for base in cls.__mro__
    )


def _loaded_kerases() -> Iterator[Any]:
    for name in _KERASES:
        if name in sys.modules:
            yield sys.modules[name]
