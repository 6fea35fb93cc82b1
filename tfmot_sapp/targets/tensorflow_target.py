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
"""`TensorFlowTarget`: TensorFlow itself on a CPU, as Keras runs models."""

import dataclasses

from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.operators import Operators


@dataclasses.dataclass(frozen=True, eq=False)
class TensorFlowTarget(CpuTarget):
    """TensorFlow on a CPU: a packed Keras model, and a SavedModel.

    Its costs were not fitted: a packed model is chosen for LiteRT and runs in
    TensorFlow too. Only how it is written differs.

    Attributes:
        constant_weights: Whether weights are constants of the graph. A
            SavedModel is faster with them; a Keras model must go on reading
            its variables, which may be loaded or assigned later.
    """

    constant_weights: bool = False

    def operators(self, quantize: str | None = None) -> Operators:
        """Returns how packed layers are written, see `Target`."""
        return dataclasses.replace(
            super().operators(quantize),
            # TensorFlow on a CPU has no fast grouped convolution.
            grouped_dense=False,
            constant_weights=self.constant_weights,
        )
