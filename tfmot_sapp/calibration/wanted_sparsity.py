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
"""How many blocks each kernel is to lose, as a user may say it."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.base.checks import check_real, check_sparsity
from tfmot_sapp.base.container_checks import check_mapping
from tfmot_sapp.base.patterns import check_patterns, match_name
from tfmot_sapp.base.wording import received
from tfmot_sapp.calibration.savings import Saving

_WHAT = (
    "the fraction of blocks to remove, in [0, 1), or a dictionary of such "
    "fractions by layer name or pattern"
)


@dataclasses.dataclass(frozen=True)
class WantedSparsity:
    """How many blocks are to go.

    Attributes:
        overall: Fraction of the blocks of all kernels.
        by_name: Fractions by layer name or pattern, which take the place of
            `overall`; `None` if it holds.
        allocation: How many blocks each kernel keeps, and where; `None` if
            the kernels' sensitivities decide.
        argument: What `by_name` was passed as.
        saving: What is to be saved, in place of `overall`; `None` if it holds.
    """

    overall: float
    by_name: Mapping[str, float] | None
    allocation: Allocation | None
    argument: str = "sparsity"
    saving: Saving | None = None

    @classmethod
    def of(
        cls, sparsity: Any, allocation: Allocation | None
    ) -> "WantedSparsity":
        """Checks a `sparsity`.

        Args:
            sparsity: A fraction, fractions by layer name or pattern, or `None`
                for those that `allocation` has as `targets`.
            allocation: An allocation or `None`.

        Raises:
            TypeError: If `sparsity` is none of these.
            ValueError: If it is out of range, or `None` without `targets`.
        """
        if sparsity is None:
            targets = getattr(allocation, "targets", None)
            if not targets:
                raise ValueError(
                    f"`sparsity` must be {_WHAT}, unless `allocation` has "
                    f"`targets`. {received('sparsity', sparsity)}"
                )
            return cls(0.0, dict(targets), allocation, "targets")
        if isinstance(sparsity, Mapping):
            by_name = check_mapping(
                sparsity, "sparsity", check_sparsity, _WHAT, least=1
            )
            return cls(0.0, by_name, allocation)
        overall = check_real(
            sparsity, "sparsity", least=0.0, below=1.0, what=_WHAT
        )
        return cls(overall, None, allocation)

    def check_names(
        self, kernels: Collection[str], layers: Collection[str]
    ) -> None:
        """Checks that what is given by name is of some kernel or layer.

        Args:
            kernels: The kernels' names.
            layers: The names of the layers that they are in.

        Raises:
            ValueError: If a name or pattern matches none.
        """
        if self.by_name is not None:
            check_patterns(self.by_name, {*kernels, *layers}, self.argument)
        elif self.allocation is not None:
            self.allocation.check_names(kernels)

    def own(self, label: str, layer_name: str) -> float | None:
        """Returns the sparsity that is given for a kernel, `None` for none.

        Args:
            label: The kernel's name in reports.
            layer_name: The name of its layer.
        """
        if self.by_name is None:
            return None
        found = match_name(self.by_name, label)
        return match_name(self.by_name, layer_name) if found is None else found

    def is_given(self, label: str, layer_name: str) -> bool:
        """Returns whether a kernel is to lose blocks at all."""
        return self.by_name is None or bool(self.own(label, layer_name))
