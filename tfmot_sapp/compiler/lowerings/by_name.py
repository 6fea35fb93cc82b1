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
"""All lowerings, by the name that a saved model knows them by.

- `Products`: one small product for each output piece, of the concatenation of
  just the input pieces it reads; or several products, added up.
- `Group`: gather the blocks, then one product for all output blocks with
  equally many.
- `GatherMatmul`: gather the blocks, then batched products, summed.
- `Channelwise`: depthwise convolution or scale, piece by piece.
- `Shifts`: pieces as the taps of a convolution see them.
- `Lookup`: rows of tables of which only some blocks are stored.
- `Attention`: between projected queries, keys and values.
- `Through`: nothing but the steps that follow.
- `Join`, `Cut`, `Fill`: pieces to one tensor, one tensor to pieces, constants.
"""

from typing import Any

from tfmot_sapp.compiler.lowerings.attention import Attention
from tfmot_sapp.compiler.lowerings.gathered import GatherMatmul, Group
from tfmot_sapp.compiler.lowerings.join_cut_fill import Cut, Fill, Join
from tfmot_sapp.compiler.lowerings.lookup import Lookup
from tfmot_sapp.compiler.lowerings.lowering import Lowering
from tfmot_sapp.compiler.lowerings.piecewise import Channelwise, Shifts, Through
from tfmot_sapp.compiler.lowerings.products import Products

_LOWERINGS: dict[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        Products,
        Group,
        GatherMatmul,
        Channelwise,
        Shifts,
        Attention,
        Lookup,
        Through,
        Join,
        Cut,
        Fill,
    )
}


def lowering_from_config(config: dict[str, Any]) -> Lowering:
    """Makes the lowering that `Lowering.get_config` described."""
    fields = {k: _tuples(v) for k, v in config.items() if k != "kind"}
    return _LOWERINGS[config["kind"]](**fields)


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return value
