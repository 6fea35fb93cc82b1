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
"""Arrays from the files that command lines name."""

import numpy as np

from tfmot_sapp.base.paths import readable_path
from tfmot_sapp.base.wording import brief

_WHAT = "a `.npy` or `.npz` file of plain arrays"


def read_arrays(path: str, name: str) -> dict[str, np.ndarray]:
    """Reads a file that NumPy saved.

    Args:
        path: A `.npy` or `.npz` file.
        name: Name of the flag, for the error.

    Returns:
        The arrays by name; the one of a `.npy` file is named `""`.

    Raises:
        ValueError: If it can't be read, is damaged, or holds something else.
    """
    file = readable_path(path, name, _WHAT)
    try:
        loaded = np.load(file)
        found = {"": loaded}
        if not isinstance(loaded, np.ndarray):
            with loaded:
                found = {key: loaded[key] for key in loaded.files}
    except Exception as error:  # NumPy's are of many kinds for damaged files.
        raise ValueError(
            f"`{name}` must be {_WHAT}. Received: {path!r}: {brief(error)}. "
            "If the file is damaged, save it again."
        ) from error
    # Any archive can be opened, such as a saved model.
    if not all(isinstance(value, np.ndarray) for value in found.values()):
        raise ValueError(
            f"`{name}` must be {_WHAT}. Received: {path!r}, which holds "
            "something else."
        )
    return found
