"""`enarx.run`: a job on this machine, in this process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import enarx
from enarx.tenant.delivering import LEAVE
from tests.programs import module

Wasm = Callable[[str], Path]
pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_path_or_bytes(wasm: Wasm) -> None:
    for given in (wasm("hello"), str(wasm("hello")), module("hello")):
        with enarx.run(given, simulate=True) as job:
            result = job.wait()
        assert (result.stdout, result.exit_code, result.termination) == (b"hello\n", 0, "exit")
        assert result.attestation is not None
        assert (result.attestation.status, result.attestation.kind) == ("trusted", "simulated")


def test_without_hardware_nothing_runs(wasm: Wasm) -> None:
    with pytest.raises(enarx.BackendError, check=lambda e: e.code == "no-hardware"):
        enarx.run(wasm("hello"))


def chunks() -> Iterator[bytes]:
    yield b"one "
    yield b""
    yield b"two"


@pytest.mark.parametrize("stdin", [b"one two", chunks, lambda: io.BytesIO(b"one two"), lambda: [b"one", b" two"]])
def test_stdin(wasm: Wasm, stdin: object) -> None:
    given = stdin() if callable(stdin) else stdin
    with enarx.run(wasm("cat"), simulate=True, stdin=given) as job:
        assert job.wait().stdout == b"one two"


def test_stdin_that_fails_ends_the_job_with_its_error(wasm: Wasm) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise LookupError("mine")

    with enarx.run(wasm("cat"), simulate=True, stdin=broken()) as job, pytest.raises(LookupError, match="mine"):
        job.wait(LEAVE / 2)  # the host has nothing to do with it, and is not waited for


def test_stdin_that_fails_is_not_missed_by_a_workload_without_need_of_it(wasm: Wasm) -> None:
    with enarx.run(wasm("hello"), simulate=True, stdin=os.open("/", os.O_RDONLY)) as job:
        assert job.wait(60).stdout == b"hello\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"stdin": "text"},
        {"stdin": io.StringIO("text")},
        {"stdin": True},
        {"stdin": object()},
        {"stdout": "out.txt"},
        {"stdout": io.StringIO()},
        {"stderr": Path("err.txt")},
        {"args": "one"},
        {"args": [1]},
        {"env": ["A=1"]},
        {"dirs": {"data": "."}},
        {"dirs": 1},
        {"owners": "owner.pem"},
        {"config": {"limits": {}}},
        {"salt": "0" * 32},
        {"secrets": {"key": "canary"}},
        {"module": None},
        {"unknown": 1},
    ],
)
def test_arguments_that_are_wrong(wasm: Wasm, wrong: dict[str, Any]) -> None:
    with pytest.raises(enarx.UsageError) as caught:
        enarx.run(**({"module": wasm("hello"), "simulate": True} | wrong))
    assert "canary" not in str(caught.value)


def test_a_file_has_the_output_as_it_comes(wasm: Wasm, tmp_path: Path) -> None:
    """A buffer of the program's own does not hold it back."""
    with (tmp_path / "out").open("wb") as out, enarx.run(wasm("cat"), simulate=True, stdin=b"one", stdout=out) as job:
        job.wait(60)
        assert (tmp_path / "out").read_bytes() == b"one"


def test_what_is_read_is_not_in_the_result(wasm: Wasm) -> None:
    with enarx.run(wasm("cat"), simulate=True, stdin=b"first\nsecond\nthird") as job:
        assert job.stdout.readline() == b"first\n"
        assert job.wait().stdout == b"second\nthird"
        assert job.wait() is job.result
        assert job.stdout.read() == b""


def test_a_stream_each(wasm: Wasm) -> None:
    with enarx.run(wasm("both"), simulate=True) as job:
        assert (job.stderr.read(), job.stdout.read()) == (b"err\n", b"out\n")


def test_output_goes_where_it_is_sent(wasm: Wasm, tmp_path: Path) -> None:
    taken = io.BytesIO()
    with (
        (tmp_path / "err").open("wb") as file,
        enarx.run(wasm("both"), simulate=True, stdout=taken, stderr=file.fileno()) as job,
    ):
        assert job.wait().stdout == b""
    assert (taken.getvalue(), (tmp_path / "err").read_bytes()) == (b"out\n", b"err\n")


def test_a_place_that_takes_no_output_ends_the_job_with_its_error(wasm: Wasm) -> None:
    class Full(io.RawIOBase):
        def write(self, data: object) -> int:
            raise OSError(28, "full")

    with enarx.run(wasm("flood"), simulate=True, stdout=Full()) as job, pytest.raises(OSError, match="full"):  # type: ignore[arg-type]
        job.wait(60)


def test_what_nobody_reads_is_bounded(wasm: Wasm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enarx.api.streams.AHEAD", 1 << 16)
    config = enarx.Config.from_toml("limits.output = '8MiB'")
    with enarx.run(wasm("flood"), simulate=True, config=config) as job:
        assert job.stdout.read(1)
        with pytest.raises(TimeoutError):
            _without_reading(job, 1.0)
        assert len(job.wait(60).stdout) == (8 << 20) - io.DEFAULT_BUFFER_SIZE + (io.DEFAULT_BUFFER_SIZE - 1)


def _without_reading(job: enarx.Job, seconds: float) -> None:
    ended = threading.Event()
    if not ended.wait(seconds) and job.result is None:
        raise TimeoutError
    raise AssertionError("the job ended although nobody read its output")


def test_a_wait_that_is_too_short(wasm: Wasm) -> None:
    with enarx.run(wasm("sleep"), simulate=True) as job:
        with pytest.raises(TimeoutError):
            job.wait(0.1)
        assert job.stop().termination == "stopped"
        assert job.result is not None
        assert job.result.exit_code is None


def test_how_it_ends(wasm: Wasm) -> None:
    with enarx.run(wasm("exit31"), simulate=True) as job:
        assert job.wait().exit_code == 31
    with enarx.run(wasm("trap"), simulate=True) as job:
        result = job.wait()
    assert (result.termination, result.exit_code) == ("trap", None)
    assert "innermost" in result.status.backtrace


def test_an_exception_leaves_nothing(wasm: Wasm, nothing_left: Callable[[], None]) -> None:
    with pytest.raises(ZeroDivisionError), enarx.run(wasm("sleep"), simulate=True) as job:
        raise ZeroDivisionError
    nothing_left()
    with pytest.raises(enarx.UsageError, check=lambda e: e.code == "job-closed"):
        job.wait()
    with pytest.raises(enarx.UsageError, check=lambda e: e.code == "job-closed"):
        job.stdout.read()
    job.close()


def test_the_host_side_is_killed(wasm: Wasm) -> None:
    with enarx.run(wasm("slow"), simulate=True) as job:
        assert job.stdout.readline() == b"tick\n"
        os.kill(job._place._host._pid, signal.SIGKILL)  # type: ignore[attr-defined]  # what nobody should do
        with pytest.raises(enarx.UnavailableError):
            job.wait(60)
        with pytest.raises(enarx.UnavailableError):
            job.stdout.read()
        assert job.result is None


def test_it_cannot_be_left(wasm: Wasm) -> None:
    with enarx.run(wasm("hello"), simulate=True) as job:
        with pytest.raises(enarx.UsageError, check=lambda e: e.code == "detach-local"):
            job.detach()
        assert job.wait().exit_code == 0


def test_secrets_and_directories(home: Path) -> None:
    from tests.wat import secret_reader

    config = enarx.Config.from_toml("[secrets]\nkey = {}")
    with enarx.run(secret_reader(), simulate=True, config=config, secrets={"key": b"canary"}) as job:
        assert job.wait().stdout == b"canary"
    (home / "data").mkdir()
    (home / "data" / "key").write_bytes(b"content of a file")
    with enarx.run(secret_reader(), simulate=True, dirs={"/data": home / "data"}) as job:
        assert job.wait().stdout == b"content of a file"


def test_nothing_secret_is_shown(wasm: Wasm) -> None:
    from enarx.api.workloads import workload
    from enarx.formats.package import SALT_SIZE

    config = enarx.Config.from_toml("[secrets]\nkey = {}")
    what = workload(
        wasm("cat"), config=config, args=["canary-arg"], env={"E": "canary-env"}, secrets={"key": b"canary-key"},
        salt=b"s" * SALT_SIZE,
    )  # fmt: skip
    built, owners = what.build()
    with enarx.run(
        wasm("cat"), simulate=True, config=config, secrets={"key": b"canary-key"}, stdin=b"canary-in"
    ) as job:
        result = job.wait()
    for value in (what, built, owners, job, job.session, result):
        assert "canary" not in repr(value)
        assert repr(b"s" * SALT_SIZE) not in repr(value)
    assert job.session.secret.hex() not in repr(job.session)


def test_two_at_once(wasm: Wasm) -> None:
    with (
        enarx.run(wasm("cat"), simulate=True, stdin=b"one") as one,
        enarx.run(wasm("cat"), simulate=True, stdin=b"two") as two,
    ):
        assert (two.wait().stdout, one.wait().stdout) == (b"two", b"one")


def test_many_threads_may_start_at_once_with_no_key_yet(wasm: Wasm) -> None:
    results: list[bytes] = []
    cat = wasm("cat")

    def run(number: int) -> None:
        with enarx.run(cat, simulate=True, stdin=b"%d" % number) as job:
            results.append(job.wait().stdout)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [b"0", b"1", b"2", b"3"]


def test_importing_it_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import enarx; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["enarx"]


def test_every_public_name_is_there() -> None:
    assert set(dir(enarx)) == set(enarx.__all__)
    assert all(getattr(enarx, name) is not None for name in enarx.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = enarx.nonsense  # type: ignore[attr-defined]  # that is the test
    assert "simulate" in (enarx.run.__doc__ or "")


def test_a_run_here_loads_nothing_for_hosts_elsewhere() -> None:
    """`enarx run` waits for each module that is loaded: HTTP and TLS would cost it a tenth."""
    code = "import sys, enarx.api.local, enarx.cli.session, enarx.cli.workload; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"http.client", "ssl", "asyncio", "logging", "enarx.tenant.http"} & set(loaded)
