"""T45: code runs in the attester that is not ours. It gives bad evidence or none; it reaches no key, file or process.

The code of the installation is copied, and in the copy the attester runs Python of the attacker's, inside the sandbox of a
real attester. The Keep around it is the real one.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cbor2
import pytest

import enarx
from enarx.delivery.messages import Attest, Attestation, Challenge
from enarx.errors import AppraisalError, UnavailableError
from enarx.formats.wire import FrameType, frame
from enarx.tenant.deploy import admit
from tests.attacks.real import PATIENCE, Machine, Wire, finish
from tests.attacks.test_t15_canaries import memory
from tests.controls import Control
from tests.e2e.harness import until

TAKEN_OVER = """

import ctypes
import errno
import socket
import time

_honest = SimulatedAttester.attest
_asked = []


def _attack(self, report_data):
    _asked.append(report_data)
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}

    def tried(name, action):
        try:
            action()
        except OSError as e:
            found[name] = errno.errorcode.get(e.errno, str(e.errno))
        else:
            found[name] = "done"

    def called(name, *arguments):
        from enarx.keep.sandbox.syscalls import NUMBERS
        ctypes.set_errno(0)
        words = [ctypes.c_ulong(x & (1 << 64) - 1) for x in arguments]
        libc.syscall(ctypes.c_long(NUMBERS[name]), *words)
        found[name] = errno.errorcode.get(ctypes.get_errno(), "done")

ATTACK
    return _honest(self, report_data)


SimulatedAttester.attest = _attack
"""
HONEST = "pass"
OTHER_REPORT_DATA = "return _honest(self, bytes(64))"
AFTERWARDS = """
if len(_asked) > 1:
    WORK
"""
"""Admission is honest; later requests are not."""


def taken_over(path: Path, attack: str) -> Path:
    """A copy of the code in whose attester `attack` runs at each request."""
    shutil.copytree(Path(enarx.__file__).parent, path / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
    file = path / "enarx" / "keep" / "attester" / "simulated.py"
    lines = "\n".join(f"    {line}" for line in attack.splitlines())
    file.write_text(file.read_text() + TAKEN_OVER.replace("ATTACK", lines))
    return path


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Makes machines whose Keeps have a taken-over attester."""
    made: list[Machine] = []

    def make(attack: str) -> Machine:
        base = tmp_path / str(len(made))
        made.append(Machine(base / "machine", taken_over(base / "code", attack)))
        return made[-1]

    yield make
    for machine in made:
        machine.close()


def challenged(machine: Machine) -> Wire:
    """A Keep that has been sent a Challenge."""
    wire = machine.keep()
    challenge = Challenge(nonce=bytes(32), verifier=bytes(32), package=bytes(32))
    wire.send([frame(FrameType.CHALLENGE, challenge.to_bytes())])
    return wire


def evidence(machine: Machine) -> bytes:
    """What the Keep gives as its evidence."""
    return Attestation.from_bytes(challenged(machine).wait(FrameType.ATTESTATION)).evidence


def as_evidence(attack: str) -> str:
    """An attack that tells what it found in place of evidence."""
    return f"{attack}\nreturn encode(found), ()"


def test_t45_it_has_two_descriptors_and_opens_nothing(machines: Callable[[str], Machine]) -> None:
    attack = """
for number in range(4096):
    tried(f"fd {number}", lambda: os.read(number, 0))
for path in ("/etc/passwd", "/data", "/run/secrets", "/proc/1/mem", "/proc/self/fd"):
    tried(path, lambda: os.open(path, os.O_RDONLY))
tried("create", lambda: os.open("/data/x", os.O_CREAT | os.O_WRONLY))
tried("list", lambda: os.listdir("/"))
"""
    found = cbor2.loads(evidence(machines(as_evidence(attack))))
    descriptors = [name for name in found if name.startswith("fd ") and found[name] != "EBADF"]
    assert len(descriptors) == 2
    assert {result for name, result in found.items() if not name.startswith("fd ")} == {"ENOSYS"}


def test_t45_it_reaches_no_other_process_and_makes_no_code(machines: Callable[[str], Machine]) -> None:
    attack = """
for name in ("kill", "tgkill", "pidfd_open", "pidfd_send_signal", "prlimit64", "prctl", "dup", "recvfrom", "sendto"):
    called(name, 1, 9, 9, 0, 0)
called("mmap", 0, 4096, 7, 0x22, -1, 0)
found["code"] = found["mmap"]
called("mmap", 0, 4096, 3, 0x21, -1, 0)
found["shared"] = found.pop("mmap")
"""
    found = cbor2.loads(evidence(machines(as_evidence(attack))))
    assert (found.pop("code"), found.pop("shared")) == ("EACCES", "EPERM")
    assert set(found.values()) == {"ENOSYS"}
    assert len(found) == 9


@pytest.mark.parametrize("name", ["fork", "execve", "socket", "connect", "ptrace", "process_vm_readv", "pidfd_getfd"])
def test_t45_what_our_code_never_calls_ends_it(machines: Callable[[str], Machine], name: str) -> None:
    """Without an attester there is no evidence, and a Keep that has admitted nobody ends."""
    wire = challenged(machines(f"called({name!r}, 1, 0, 0, 0, 0, 0)"))
    wire.until_end()
    assert wire.log == []


def test_t45_memory_is_bounded(machines: Callable[[str], Machine]) -> None:
    attack = """
held = []
try:
    while True:
        held.append(bytearray(1 << 20))
except MemoryError:
    found["MiB"] = len(held)
held.clear()
"""
    assert 0 < cbor2.loads(evidence(machines(as_evidence(attack))))["MiB"] < 64


def test_t45_evidence_of_its_choice_is_refused(machines: Callable[[str], Machine]) -> None:
    def admitted(attack: str) -> object:
        machine = machines(attack)
        wire, built, results = machine.keep(), machine.package("hello"), []
        verifier = machine.verifier(built)
        admit(wire, built, machine.owners, lambda received: results.append(verifier(received)), patience=PATIENCE)
        return results[0]

    with pytest.raises(AppraisalError, match="report"):
        Control(admitted, attack=HONEST).but(attack=OTHER_REPORT_DATA)


FLOOD = """
    for fd in range(32):
        try:
            os.read(fd, 0)
        except OSError:
            continue
        if fd != self._device:
            for _ in range(100):
                os.write(fd, DATA)
"""
"""Sent to the keeper without a request, through the descriptor that is not the simulator's."""

MISBEHAVIOUR = {
    "ends": "os._exit(0)",
    "hangs": "time.sleep(1000)",
    "computes": "while True: pass",
    "raises": "raise ValueError",
    "gives no bytes": "return 7, ()",
    "gives too much": "return bytes((64 << 10) + 1), ()",
    "gives too many endorsements": "return b'x', [bytes(1024)] * 300",
    "floods with junk": FLOOD.replace("DATA", "b'\\xff' * 64"),
    "floods with evidence": FLOOD.replace("DATA", "encode({'evidence': b'x', 'endorsements': []})"),
}


@pytest.mark.parametrize("how", MISBEHAVIOUR)
def test_t45_a_running_job_does_not_need_it(machines: Callable[[str], Machine], how: str) -> None:
    """Whatever the attester does when it is asked for fresh evidence, the job runs to its end, at its usual pace."""
    machine = machines(AFTERWARDS.replace("WORK", MISBEHAVIOUR[how]))
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("cat"))
    for number in range(3):
        wire.send([frame(FrameType.ATTEST, Attest(nonce=bytes([number] * 32)).to_bytes())])
        time.sleep(0.1)
    start = time.monotonic()
    result, shown = finish(wire, delivered, b"undisturbed")
    assert (result.status.cause, shown) == ("exit", b"undisturbed")
    assert time.monotonic() - start < 5


def processes(machine: Machine, role: tuple[str, ...]) -> list[int]:
    """Of each Keep of this machine the process that has such descriptors."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            if str(machine.home.parent / "code").encode() in command and b"enarx.keep" in command:
                directory = f"/proc/{name}/fd"
                open_ = sorted(os.readlink(f"{directory}/{fd}").split(":")[0] for fd in os.listdir(directory))
                if tuple(open_) == role:
                    found.append(int(name))
    return found


ATTESTER = ("socket", "socket")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into processes that are not dumpable")


def holding(pid: int) -> bool:
    """Whether the secret is in a process's memory."""
    return any(b"canary-in-secret" in piece for piece in memory(pid))


@only_root
def test_t45_a_delivered_secret_is_never_in_its_memory(machines: Callable[[str], Machine]) -> None:
    machine = machines(HONEST)
    wire = machine.keep()
    machine.deliver(wire, machine.package("cat", 'secrets = {key = {env = "KEY"}}', key=b"canary-in-secret"))
    (attester,) = processes(machine, ATTESTER)
    keeper = Path(f"/proc/{attester}/stat").read_text().split()[3]
    siblings = map(int, Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split())
    others = [int(keeper), *(pid for pid in siblings if pid != attester)]
    until(lambda: any(holding(pid) for pid in others), "the workload to hold its secret: the search itself works", 10)
    assert not holding(attester)


@only_root
def test_t45_it_is_reaped_and_ends_with_its_keep(machines: Callable[[str], Machine]) -> None:
    """Killed by anybody, it is reaped when it is next asked; and none outlives its Keep."""
    machine = machines(HONEST)
    first = machine.keep()
    machine.deliver(first, machine.package("cat"))
    (attester,) = processes(machine, ATTESTER)
    os.kill(attester, signal.SIGKILL)
    first.send([frame(FrameType.ATTEST, Attest(nonce=bytes(32)).to_bytes())])
    until(lambda: not Path(f"/proc/{attester}").exists(), "the attester to be reaped", 10)
    second = machine.keep()
    until(lambda: processes(machine, ATTESTER), "another attester", 10)
    for wire in (first, second):
        wire.close()
        wire.until_end()
    until(lambda: not processes(machine, ATTESTER), "the attester to be gone", 10)


def test_t45_a_keep_whose_attester_dies_before_admission_ends(machines: Callable[[str], Machine]) -> None:
    machine = machines("os._exit(0)")
    with pytest.raises(UnavailableError):
        machine.deliver(machine.keep(), machine.package("hello"))
