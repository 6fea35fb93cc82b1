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
"""A TFDS builder for Criteo's display advertising challenge."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

INTEGERS, CATEGORIES = 13, 26


def read_rows(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """Yields the rows of a file like Criteo's `train.txt`.

    Args:
        path: Tab separated file: label, 13 integers, 26 categories; an empty
            field is a missing value.

    Yields:
        "label", 0 or 1; "integers", float32 of shape (13,) with NaN for missing
        ones; "categories", 26 strings, "" for missing ones.

    Raises:
        ValueError: If a row has another number of fields.
    """
    with tf.io.gfile.GFile(os.fspath(path)) as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 1 + INTEGERS + CATEGORIES:
                raise ValueError(
                    f"Line {number} of {path} must have "
                    f"{1 + INTEGERS + CATEGORIES} fields, separated by tabs. "
                    f"Received: {len(fields)}."
                )
            integers = fields[1 : 1 + INTEGERS]
            yield {
                "label": int(fields[0]),
                "integers": np.array(
                    [float(x) if x else np.nan for x in integers], np.float32
                ),
                "categories": fields[1 + INTEGERS :],
            }


class CriteoDisplay(tfds.core.GeneratorBasedBuilder):
    """Clicks on Criteo's display advertisements, in the order of their time."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Accept Criteo's terms for the Kaggle display advertising challenge data set
    at https://ailab.criteo.com/ressources/, unpack the archive, and put its
    `train.txt` into the manual download folder.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "label": tfds.features.ClassLabel(num_classes=2),
                    "integers": tfds.features.Tensor(
                        shape=(INTEGERS,), dtype=np.float32
                    ),
                    "categories": tfds.features.Sequence(
                        tfds.features.Text(), length=CATEGORIES
                    ),
                }
            ),
            homepage="https://ailab.criteo.com/ressources/",
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = dl_manager.manual_dir / "train.txt"
        return {"train": self._generate_examples(path)}

    def _generate_examples(
        self, path: str | os.PathLike
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(read_rows(path))
