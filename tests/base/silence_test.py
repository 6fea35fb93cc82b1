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
"""The libraries are quiet, and everybody else keeps standard error."""

import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest

from tfmot_sapp.base.silence import quiet

NOISE = (
    b"I0000 00:00:1795701528.882450   11228 reader.cc:83] Reading from: /x\n"
)


def test_the_libraries_are_held_back(capfd):
    with quiet():
        os.write(2, NOISE)
    os.write(2, b"shown\n")

    assert capfd.readouterr().err == "shown\n"


def test_what_others_write_meanwhile_arrives(capfd):
    with quiet():
        os.write(2, b"mine\n" + NOISE + b"mine too")
    os.write(2, b"\nafter\n")

    assert capfd.readouterr().err == "mine\nmine too\nafter\n"


def test_an_error_tells_what_was_held_back_and_shows_nothing_twice(capfd):
    with pytest.raises(RuntimeError) as error, quiet():
        os.write(2, NOISE + b"the reason\n")
        raise RuntimeError("failed:\nthe reason")

    assert "Reading from" in "".join(error.value.__notes__)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, OSError])
def test_whatever_ends_a_block_the_descriptor_comes_back(capfd, failure):
    before = os.fstat(2)

    with pytest.raises(failure), quiet():
        raise failure

    assert os.path.samestat(before, os.fstat(2))
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_overlapping_threads_leave_the_descriptor_as_it_was(capfd):
    before = os.fstat(2)
    inside, outside = threading.Barrier(3), threading.Barrier(3)

    def work(last: bool) -> None:
        with quiet():
            inside.wait()
            if last:
                outside.wait()
        if not last:
            outside.wait()

    threads = [threading.Thread(target=work, args=(last,)) for last in (0, 1)]
    for thread in threads:
        thread.start()
    inside.wait()
    os.write(2, b"between\n")
    outside.wait()
    for thread in threads:
        thread.join()

    assert os.path.samestat(before, os.fstat(2))
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "between\nafter\n"


def test_many_threads_leak_no_descriptor():
    def work() -> None:
        for _ in range(50):
            with quiet():
                os.write(2, NOISE)

    before = len(os.listdir("/proc/self/fd"))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(os.listdir("/proc/self/fd")) == before


def test_loggers_and_warnings_of_others_are_heard(caplog):
    heard = []

    def other() -> None:
        logging.getLogger("tensorflow").warning("from another thread")

    filters = list(warnings.filters)
    with quiet():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        logging.getLogger("tensorflow").warning("from this one")
        logging.getLogger("user").warning("the user's")
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            warnings.warn("the user's", stacklevel=1)

    assert caplog.messages == ["from another thread", "the user's"]
    assert len(heard) == 1
    assert warnings.filters == filters
    assert not logging.getLogger("tensorflow").filters


def test_errors_that_are_logged_are_told_with_what_is_raised(caplog, capfd):
    with quiet():
        logging.getLogger("absl").error("no fingerprint")
    with pytest.raises(RuntimeError) as error, quiet():
        logging.getLogger("absl").error("no weights")
        raise RuntimeError("failed")

    assert caplog.messages == []
    assert "no weights" in "".join(error.value.__notes__)
    assert "fingerprint" not in "".join(error.value.__notes__)
    assert capfd.readouterr().err == ""


def test_a_closed_descriptor_stays_closed(fresh_environment):
    program = """
        import os
        os.close(2)
        from tfmot_sapp.base.silence import quiet
        with quiet():
            pass
        try:
            os.fstat(2)
        except OSError:
            print("closed")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**fresh_environment, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        text=True,
    )

    assert done.stdout == "closed\n"
