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
"""Installs tfmot_sapp."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (ROOT / "tfmot_sapp" / "__init__.py").read_text(),
    re.MULTILINE,
).group(1)

# scikit-learn ships the digits that the quickstart trains on.
# importlib_resources is what TFDS 4.9.10 imports without asking for it.
EXAMPLES = [
    "importlib_resources",
    "scikit-learn",
    "tensorflow-datasets",
]

setup(
    name="tfmot_sapp",
    version=VERSION,
    description=(
        "Block-sparse Keras models that are smaller and faster where they run: "
        "SequentialAttention++ and its relatives on TF-MOT's interface."
    ),
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["tfmot_sapp", "tfmot_sapp.*"]),
    package_data={"tfmot_sapp": ["*.pyi"]},
    python_requires=">=3.10",
    install_requires=[
        "absl-py",
        "ai-edge-litert",
        "keras>=3.9",
        "lazy_loader",
        "matplotlib",
        "numpy",
        "rich",
        "tensorboard",
        "tensorflow>=2.19",
        "tensorflow-model-optimization>=0.8",
    ],
    extras_require={
        "examples": EXAMPLES,
        "test": [*EXAMPLES, "pytest", "pytest-xdist", "ruff"],
    },
)
