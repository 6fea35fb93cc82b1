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
"""Times on a machine that others use, too.

Measuring in random order keeps a ratio fair when the load drifts, but not when
the process is interrupted in every other call: the median is then that of
interrupted calls. Under Linux's real-time scheduler it isn't interrupted.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def realtime_scheduling(realtime: bool) -> Iterator[None]:
    """Runs what is within it before all other processes.

    Threads that are started within it inherit that. Keep it short, and the
    process on few cores (`taskset`): nothing else runs on them meanwhile.

    Args:
        realtime: Whether to do so at all. It takes Linux, and root's rights.

    Yields:
        Nothing.

    Raises:
        PermissionError: If this user may not.
    """
    if not realtime:
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)
