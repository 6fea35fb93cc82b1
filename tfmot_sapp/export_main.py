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
"""The command line of `cli/export.py`, under its public name."""

import os

from absl import app, flags

from tfmot_sapp.base.silence import quiet

if __name__ == "__main__":
    # What TensorFlow says of the machine, later on; its import obeys nothing.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with quiet():
    from tfmot_sapp.cli import export
    from tfmot_sapp.cli.export import define_flags, main

__all__ = ["define_flags", "main"]

if __name__ == "__main__":
    # What `--help` shows: the program, not this file.
    __doc__ = export.__doc__
    define_flags()
    flags.adopt_module_key_flags(export)
    app.run(main)
