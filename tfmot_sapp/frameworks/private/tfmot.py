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
"""TF-MOT's tree of modules.

Importing `tensorflow_model_optimization` sets `TF_USE_LEGACY_KERAS`, which
changes what `tf.keras` means for the whole process. Its module of schedules
needs only TensorFlow, so that file alone is loaded here, under its own name:
when TF-MOT is imported later, or has been before, both sides hold the very same
classes.
"""

import importlib.util
import sys
from types import ModuleType

_PACKAGE = "tensorflow_model_optimization"
_MODULE = f"{_PACKAGE}.python.core.sparsity.keras.pruning_schedule"


def pruning_schedule_module() -> ModuleType:
    """Returns TF-MOT's module of pruning schedules, and loads no other.

    Raises:
        ImportError: If TF-MOT is not installed, or has its module elsewhere.
    """
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ImportError(
            "tfmot_sapp needs tensorflow-model-optimization. Install it with "
            "`pip install tensorflow-model-optimization`."
        )
    root = package.submodule_search_locations[0]
    path = _MODULE.removeprefix(f"{_PACKAGE}.").replace(".", "/")
    spec = importlib.util.spec_from_file_location(_MODULE, f"{root}/{path}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"TF-MOT has no module {_MODULE}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_MODULE]
        raise
    return module
