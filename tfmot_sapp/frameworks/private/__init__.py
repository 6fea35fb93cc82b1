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
"""Everything private of other people's libraries that this project uses.

One module a library, one function a thing. Nothing else in the package uses an
attribute, a module or a name that a library keeps to itself, so that a new
version can break nothing but what stands here; `tests/frameworks/private_test`
says which. What is private of flatbuffers stands in `base`: whoever reads a
file with it needs no TensorFlow, which this package imports.
"""
