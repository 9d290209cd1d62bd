"""Output between the thread that writes it and the program that reads it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from enarx.api.streams import AHEAD, Output
from enarx.delivery.session import STDERR, STDOUT
from enarx.errors import UnavailableError


def running(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_bytes_in_order_and_apart() -> None:
    output = Output()
    output.write(STDOUT, b"a\nb")
    output.write(STDERR, b"e")
    output.write(STDOUT, b"\nc")
    output.end()
    assert (output.stdout.readline(), output.stdout.read(), output.stderr.read()) == (b"a\n", b"b\nc", b"e")
    assert output.stdout.read() == b""


def test_a_writer_waits_for_a_reader_and_no_longer() -> None:
    output = Output()
    output.write(STDOUT, bytes(AHEAD))
    thread = running(lambda: output.write(STDOUT, b"x"))
    thread.join(0.2)
    assert thread.is_alive()
    output.stdout.read(1)
    thread.join(5)
    assert not thread.is_alive()


def test_who_reads_one_stream_is_not_held_up_by_the_other() -> None:
    output = Output()

    def write() -> None:
        for _ in range(3):
            output.write(STDERR, bytes(AHEAD))
        output.write(STDOUT, b"at last")
        output.end()

    running(write)
    assert output.stdout.read() == b"at last"
    assert len(output.stderr.read()) == 3 * AHEAD


@pytest.mark.parametrize("release", ["wait", "end", "discard"])
def test_what_lets_a_writer_go_on(release: str) -> None:
    output = Output()
    output.write(STDOUT, bytes(AHEAD))
    thread = running(lambda: (output.write(STDOUT, b"x"), output.end()))
    if release == "wait":
        assert output.wait(5)
    else:
        getattr(output, release)()
    thread.join(5)
    assert not thread.is_alive()


def test_an_early_end_never_passes_for_the_end() -> None:
    output = Output()
    output.write(STDOUT, b"some")
    output.end(UnavailableError("keep-lost", "gone"))
    output.end()
    with pytest.raises(UnavailableError):
        output.stderr.read()
    assert output.stdout.read(4) == b"some"
    with pytest.raises(UnavailableError):
        output.stdout.read(1)


def test_the_first_end_counts() -> None:
    output = Output()
    output.end()
    output.end(UnavailableError("job-closed", "closed"))
    assert output.stdout.read() == b""


def test_a_sink_takes_all_of_it() -> None:
    reading, writing = os.pipe()
    taken: list[bytes] = []
    output = Output(stdout=writing)
    thread = running(lambda: taken.append(os.read(reading, 1 << 20)))
    output.write(STDOUT, b"through a pipe")
    thread.join(5)
    os.close(reading)
    os.close(writing)
    assert taken == [b"through a pipe"]
    output.end()
    assert output.stdout.read() == b""


def test_a_wait_that_is_too_short() -> None:
    start = time.monotonic()
    assert not Output().wait(0.05)
    assert time.monotonic() - start < 5
