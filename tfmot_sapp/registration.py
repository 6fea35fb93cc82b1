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
"""Makes this project's layers known to each Keras as soon as it is there.

A file of a pruned model loads wherever `tfmot_sapp` has been imported, before
or after Keras, in either Keras. Importing `tfmot_sapp` does not import a Keras:
the classes are defined, and with that registered, when the program imports it.
"""

import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from tfmot_sapp.base.registry import import_when_needed


def _register_with_keras() -> None:
    from tfmot_sapp.compiler.emit import keras_packed_layer  # noqa: F401
    from tfmot_sapp.frameworks import keras_offset_schedule  # noqa: F401
    from tfmot_sapp.training import (  # noqa: F401
        keras_wrapped_model,
        keras_wrapper,
    )

    _register_regularizers()


def _register_with_tf_keras() -> None:
    from tfmot_sapp.compiler.emit import tf_keras_packed_layer  # noqa: F401
    from tfmot_sapp.frameworks import tf_keras_offset_schedule  # noqa: F401
    from tfmot_sapp.training import (  # noqa: F401
        tf_keras_wrapped_model,
        tf_keras_wrapper,
    )

    _register_regularizers()


def _register_regularizers() -> None:
    module = importlib.import_module("tfmot_sapp.training.block_regularizers")
    register = getattr(module, "register_with_loaded_kerases", None)
    # A Keras may be imported while this module is, by TensorFlow. It registers
    # its classes itself then, at its end.
    if register is not None:
        register()


def _import_pieces() -> None:
    for name in ("allocations", "schedules", "scorers", "targets"):
        package = importlib.import_module(f"tfmot_sapp.{name}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"tfmot_sapp.{name}.{module.name}")


_REGISTER = {
    "keras": _register_with_keras,
    "tf_keras": _register_with_tf_keras,
}


def register_when_imported() -> None:
    """Registers with each Keras, now or right after it has been imported."""
    import_when_needed(_import_pieces)
    missing = set()
    for name, register in _REGISTER.items():
        if name in sys.modules:
            register()
        else:
            missing.add(name)
    if missing:
        sys.meta_path.insert(0, _Finder(missing))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a Keras as others do, and has it followed by its registration."""

    def __init__(self, missing: set[str]):
        self._missing = missing

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname not in self._missing:
            return None
        # Not asked itself, so that the others are. To be asked is not to be
        # loaded: TensorFlow asks where Keras is long before it imports it.
        self._missing.discard(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._missing.add(fullname)
        if spec is None or spec.loader is None:
            return None

        def register() -> None:
            self._missing.discard(fullname)
            _REGISTER[fullname]()

        spec.loader = _Loader(spec.loader, register)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module, then calls a function."""

    def __init__(self, loader: importlib.abc.Loader, then: Callable[[], None]):
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            # Whoever asks the module for its loader, to read its resources,
            # gets the real one.
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()
