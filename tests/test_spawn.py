"""A started process has its arguments, the descriptors that it is given, stderr, and nothing else of its parent."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from enarx.spawn import FIRST, start_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes of a host are started on Linux")

REPORT = (
    "import json, os, signal, sys; "
    "entries = [int(name) for name in os.listdir('/proc/self/fd')]; "
    "open_ = [fd for fd in entries if os.path.exists(f'/proc/self/fd/{fd}')]; "
    "os.write(int(sys.argv[1]), json.dumps({'arguments': sys.argv[1:], 'environment': dict(os.environ), "
    "'open': open_, 'standard': [os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1)], "
    "'session': os.getsid(0) == os.getpid(), 'modules': 'site' in sys.modules, "
    "'child': signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL}).encode())"
)


def report(*descriptors: int, target: int, **options: object) -> dict[str, object]:
    """What a child says of itself over `descriptors[target]`."""
    reading, writing = os.pipe()
    fds = tuple(writing if i == target else fd for i, fd in enumerate(descriptors))
    pid = start_python(REPORT, [str(FIRST + target), "extra"], fds, **options)  # type: ignore[arg-type]
    os.close(writing)
    with open(reading, "rb") as file:
        text = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    value: dict[str, object] = json.loads(text)
    return value


def test_nothing_is_inherited_but_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "value")
    leak = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        child = report(-1, target=0)
    finally:
        os.close(leak)
    assert child["open"] == [0, 1, 2, 3]
    assert child["standard"] == [os.devnull, os.devnull]
    assert set(child["environment"]) == {"LANG"} | ({"LC_CTYPE"} & set(child["environment"]))  # type: ignore[arg-type]
    assert child["arguments"] == ["3", "extra"]
    assert child["session"] is False
    assert child["modules"] is False


def test_descriptors_keep_their_order_whatever_their_numbers() -> None:
    """Also where a given descriptor has the number that another becomes."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        child = report(null, -1, null, target=1)
    finally:
        os.close(null)
    assert child["open"] == [0, 1, 2, 3, 4, 5]


def test_low_descriptors_are_moved_before_they_are_overwritten() -> None:
    """In a process where 3 and 4 are free or given in reverse: a child of its own, so that pytest's stay as they are."""
    code = (
        "import os, sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.spawn import start_python\n"
        "os.closerange(3, 64)\n"
        "first, second = os.open('/dev/null', os.O_RDWR), os.open('/dev/zero', os.O_RDWR)\n"
        "assert (first, second) == (3, 4)\n"
        "check = \"import os; names = [os.readlink(f'/proc/self/fd/{fd}') for fd in (3, 4)]; "
        "raise SystemExit(names != ['/dev/zero', '/dev/null'])\"\n"
        "pid = start_python(check, [], (second, first))\n"
        "assert os.get_inheritable(first) is os.get_inheritable(second) is False\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code, ":".join(sys.path)], dict(os.environ))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_session_and_signals_are_its_own() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        reading, writing = os.pipe()
        start_python(REPORT, ["3"], (writing,), new_session=True, default_signals=(signal.SIGCHLD,))
        os.close(writing)
        with open(reading, "rb") as file:
            child = json.loads(file.read())
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert child["session"] is True
    assert child["child"] is True


def test_no_descriptor_is_left_where_it_cannot_be_started() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        start_python("", [], (0, 1 << 20))
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_blocked_signals_wait_from_the_start() -> None:
    code = "import os, signal; os.write(3, str(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))).encode())"
    for blocked in ((), (signal.SIGINT, signal.SIGUSR1)):
        reading, writing = os.pipe()
        pid = start_python(code, [], (writing,), blocked_signals=blocked)
        os.close(writing)
        with open(reading, "rb") as file:
            assert file.read().decode() == str(sorted(signal.Signals(number) for number in blocked))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
