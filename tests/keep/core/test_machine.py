"""The core up to the session: each move, each deadline, each refusal."""

from __future__ import annotations

import hashlib
from dataclasses import replace as changed
from typing import Any

import pytest

from enarx.delivery.content import FilePiece
from enarx.delivery.messages import Attest
from enarx.delivery.states import FROM_TENANT, TABLE
from enarx.delivery.tenant import refusal_code
from enarx.errors import DeliveryError, ParseError, UsageError
from enarx.formats import bounds
from enarx.formats.config import Config
from enarx.formats.package import Node, encode_index
from enarx.formats.wire import CHUNK, LARGEST, FrameType, frame
from enarx.keep.core.actions import Compile, CreateTrees, Done, Send, Start, StoreSecrets
from enarx.keep.core.deadlines import CONFIRM_EVERY, Deadlines
from enarx.keep.core.limits import Limits, in_pages
from enarx.record import replace
from tests.exchange import CANARIES, CONFIG, FILE, NOW, WASM, Content
from tests.keep.core.driver import ROOMY, VANISHED, MemoryKeep
from tests.keep.core.pair import Manual, Pair, Unattested

WAITS = Deadlines()


def fresh() -> Pair:
    return Pair()


def challenged() -> Pair:
    pair = Pair(keep=Unattested)
    pair.challenge()
    return pair


def attested() -> Pair:
    pair = Pair()
    pair.admit()
    return pair


def receiving() -> Pair:
    pair = Pair()
    pair.begin()
    return pair


def in_session() -> Pair:
    pair = Pair(keep=Manual)
    pair.attach()
    return pair


def refused() -> Pair:
    pair = Pair()
    pair.keep.receive(frame(FrameType.CHUNK, b""))
    pair.sent()
    return pair


def ended() -> Pair:
    pair = in_session()
    pair.keep.core.ended(b"", VANISHED, pair.clock())
    pair.keep.act()
    pair.sent()
    return pair


STATES = {
    "fresh": fresh,
    "challenged": challenged,
    "attested": attested,
    "receiving": receiving,
    "session": in_session,
    "refused": refused,
    "ended": ended,
}


@pytest.mark.parametrize("kind", list(FrameType))
@pytest.mark.parametrize("state", STATES)
def test_frames_move_a_keep_only_as_the_table_says(state: str, kind: FrameType) -> None:
    """Junk of each type, in each state: what has no place is refused for that; what has one, for what it holds."""
    pair = STATES[state]()
    assert pair.state == state
    pair.keep.receive(frame(kind, b"\0"))
    has_place = (state, kind) in TABLE and kind in FROM_TENANT
    if state in ("refused", "ended"):
        assert pair.sent() == []
        assert pair.state == state
    elif state == "session":
        assert [found for found, _ in pair.sent()] == [FrameType.REPLY], "the attachment is told that it is broken"
        assert pair.state == "session"
    else:
        assert (pair.code() == "unexpected-message") == (not has_place)
        assert pair.state == ("ended" if state == "receiving" else "refused")
        assert pair.keep.of(Done)


def test_a_whole_delivery() -> None:
    pair = Pair(keep=Manual)
    pair.deliver()
    keep = pair.keep
    assert [type(a) for a in keep.stored] == [StoreSecrets, Compile, CreateTrees, FilePiece]
    assert (keep.secrets, keep.module, keep.files) == ({"key": b"canary-secret"}, WASM, {"0/d/f": FILE})
    assert keep.of(Start) == [
        Start(
            args=("main.wasm", "canary-arg"),
            env=(("E", "canary-env"),),
            dirs=((0, "/data", False),),
            secrets=True,
            limits=CONFIG.limits,
            results=False,
            tty=False,
        )
    ]
    assert not any(canary in send.data for send in keep.of(Send) for canary in CANARIES)


def test_files_and_secrets_are_variables_too() -> None:
    config = Config.from_toml(
        '[secrets]\nkey = {env = "KEY"}\n[[files]]\nkind = "null"\n[[files]]\nkind = "stdout"\n[limits]\ntime = "1ms"\n'
    )
    content = Content(args=("main.wasm",), env=())
    pair = Pair(config=config, content=content, keep=Manual)
    pair.deliver()
    assert pair.keep.start is not None
    assert dict(pair.keep.start.env) == {"KEY": "canary-secret", "FD_COUNT": "2", "FD_NAMES": "null:stdout"}
    assert pair.keep.start.limits.time == 0.001


def test_actions_come_one_by_one_with_the_checks_between() -> None:
    """What a driver has not stored yet, the core has not gone past: its next action is asked for afterwards."""
    pair = Pair(content=Content(file=FILE[:-1] + b"!"))
    (chunk,) = pair.begin()
    core = pair.keep.core
    core.frame(FrameType.CHUNK, memoryview(chunk)[5:], pair.clock(), bytes(32))
    kinds = []
    while (action := core.next_action(pair.clock())) is not None:
        kinds.append(type(action))
    assert kinds == [StoreSecrets, Compile, CreateTrees, FilePiece, Send, Done]


# --- deadlines ---------------------------------------------------------------------------------------------------------


def test_a_keep_in_a_pool_waits_for_ever() -> None:
    pair = Pair()
    assert pair.keep.core.deadline is None
    pair.clock.seconds += 1e9
    pair.keep.tick()
    assert (pair.state, pair.sent()) == ("fresh", [])


def late(pair: Pair, seconds: float) -> str:
    """The code of the refusal that comes this many seconds later, and not just before."""
    pair.clock.seconds += seconds - 0.001
    pair.keep.tick()
    assert not pair.keep.core.over
    pair.clock.seconds += 0.001
    assert pair.keep.core.deadline == pytest.approx(pair.clock.seconds)
    pair.clock.seconds = pair.keep.core.deadline or 0
    pair.keep.tick()
    assert pair.keep.core.deadline is None
    return pair.code()


def test_no_challenge() -> None:
    assert late(Pair(pooled=False), WAITS.challenge) == "challenge-late"


def test_no_delivery() -> None:
    pair = Pair()
    pair.admit()
    assert late(pair, WAITS.delivery) == "delivery-late"


def test_no_evidence_in_time() -> None:
    """The time to the Delivery counts from the Challenge."""
    assert late(challenged(), WAITS.delivery) == "delivery-late"


@pytest.mark.parametrize("meanwhile", ["nothing", "an old chunk", "the delivery"])
def test_no_chunk(meanwhile: str) -> None:
    pair = Pair(content=Content(file=bytes(3 * CHUNK), index=index(3 * CHUNK)))
    first = pair.begin()[0]
    pair.clock.seconds += 100
    pair.keep.receive(first)
    pair.clock.seconds += 100
    pair.keep.receive({"nothing": b"", "an old chunk": first, "the delivery": pair.delivery}[meanwhile] or first)
    assert late(pair, WAITS.idle - 100) == "delivery-idle"


def index(size: int) -> bytes:
    """Of one file of zeros."""
    return encode_index([Node("f", "f", size=size, digest=hashlib.sha256(bytes(size)).digest())])


def test_confirmations_by_number() -> None:
    size = (2 * CONFIRM_EVERY + 1) * CHUNK
    pair = Pair(content=Content(file=bytes(size), index=index(size)))
    confirmed = []
    for number, chunk in enumerate(pair.begin(), 1):
        pair.keep.receive(chunk)
        confirmed += [number for kind, _ in pair.sent() if kind is FrameType.RECEIVED]
    assert confirmed == [CONFIRM_EVERY, 2 * CONFIRM_EVERY]
    assert pair.state == "session"


def test_confirmations_by_time() -> None:
    pair = Pair(content=Content(file=bytes(4 * CHUNK), index=index(4 * CHUNK)))
    told = []
    for chunk in pair.begin():
        pair.clock.seconds += WAITS.confirm / 2
        pair.keep.receive(chunk)
        told.append([kind for kind, _ in pair.sent()])
    assert told == [[], [FrameType.RECEIVED], [], [FrameType.RECEIVED], [FrameType.OUTPUT]]


# --- refusals ----------------------------------------------------------------------------------------------------------


def refusal(pair: Pair) -> str:
    """Deliver everything; the code of the Keep's refusal."""
    for chunk in pair.begin():
        pair.keep.receive(chunk)
    assert pair.keep.start is None
    return pair.code()


def limited(**limits: Any) -> Config:
    return CONFIG.replace(limits=replace(CONFIG.limits, **limits))


SHORT: dict[str, dict[str, int]] = {
    "memory-limit": {"memory": CONFIG.limits.memory - 1},
    "open-files": {"open_files": CONFIG.limits.open_files + bounds.OWN_FILES - 1},
    "compile-limit": {"compile": bounds.compile_allowance(len(WASM)) - 1},
    "disk-limit": {"disk": CONFIG.limits.disk},
}
"""Limits of the host that are too low by a little."""

WRONG: dict[str, dict[str, Any]] = {
    "head-commitment": {"args": ("other",)},
    "content-wasm": {"wasm": WASM + b"\0"},
    "content-file": {"file": FILE[:-1] + b"!"},
    "content-short": {"file": FILE[:-1]},
    "content-trailing": {"file": FILE + b"!"},
}


@pytest.mark.parametrize("code", [*SHORT, *WRONG])
def test_packages_that_are_refused_under_seal(code: str) -> None:
    pair = Pair(limits=replace(ROOMY, **SHORT.get(code, {})))
    pair.content = changed(pair.content, **WRONG.get(code, {}))
    assert refusal(pair) == code
    assert pair.state == "ended"


@pytest.mark.parametrize(
    "limits",
    [
        {"memory": CONFIG.limits.memory},
        {"open_files": CONFIG.limits.open_files + bounds.OWN_FILES},
        {"compile": bounds.compile_allowance(len(WASM))},
        {"disk": CONFIG.limits.disk + (1 << 20) + 3 * 4096 + 4096},
    ],
)
def test_limits_that_are_just_enough(limits: dict[str, int]) -> None:
    pair = Pair(keep=Manual, limits=replace(ROOMY, **limits))
    pair.deliver()
    assert pair.state == "session"


def test_a_package_says_what_compiling_it_may_take() -> None:
    pair = Pair(config=limited(compile=5 << 20, fuel=9), keep=Manual)
    pair.deliver()
    assert pair.keep.of(Compile) == [Compile(WASM, True, 5 << 20)]


STDIO = "".join(f'[[files]]\nkind = "{kind}"\n' for kind in ("stdin", "stdout", "stderr"))


def test_sockets_are_refused() -> None:
    config = CONFIG.replace(
        files=Config.from_toml(f'{STDIO}[[files]]\nkind = "listen"\nname = "x"\nprot = "tcp"\nport = 80\n').files
    )
    assert refusal(Pair(config=config)) == "sockets"


def test_entries_are_counted_in_pages() -> None:
    assert [in_pages(n) for n in (0, 1, 4096, 4097)] == [4096, 8192, 8192, 12288]
    limits = Limits(memory=0, compile=0, disk=(1 << 20) + 12288 + CONFIG.limits.disk, open_files=0)
    assert limits.disk_size(CONFIG, [[Node("d", "d")], [Node("f", "f", size=1)]]) == limits.disk
    with pytest.raises(DeliveryError, check=lambda e: e.code == "disk-limit"):
        limits.disk_size(CONFIG, [[Node("d", "d")], [Node("f", "f", size=4097)]])


def test_another_package_than_it_was_launched_for() -> None:
    pair = Pair(pooled=False)
    pair.keep.receive(Pair(config=limited(fuel=1)).tenant.challenge())
    assert pair.code() == "other-package"


def test_a_second_delivery() -> None:
    pair, other = Pair(), Pair(config=limited(fuel=1))
    pair.begin()
    other.begin()
    pair.keep.receive(other.delivery)
    assert pair.code() == "second-delivery"


def test_the_same_delivery_again_is_confirmed() -> None:
    pair = receiving()
    pair.keep.receive(pair.delivery)
    assert not pair.tenant.received(pair.only(FrameType.RECEIVED))
    assert pair.state == "receiving"


def test_a_chunk_that_came_before_is_passed_over() -> None:
    pair = Pair(content=Content(file=bytes(2 * CHUNK), index=index(2 * CHUNK)), keep=Manual)
    for chunk in pair.begin():
        pair.keep.receive(chunk)
        if pair.state == "receiving":
            pair.keep.receive(chunk)
    assert pair.state == "session"
    assert pair.keep.files == {"0/f": bytes(2 * CHUNK)}


@pytest.mark.parametrize("head", [b"\0\0\2\2\1", b"\0\0\0\1\x4d", b"\0\0\0\0\1"], ids=["too large", "no type", "empty"])
@pytest.mark.parametrize("state", ["fresh", "attested", "receiving"])
def test_malformed_frames_are_refused(state: str, head: bytes) -> None:
    pair = STATES[state]()
    pair.keep.receive(head)
    assert pair.code() in ("frame-size", "frame-type")


class Failing(MemoryKeep):
    """Its storage fails at the first action of the kind `at`."""

    at: type = Compile
    error: Exception = DeliveryError("compiler", "the compiler ended early", state="receiving")

    def act(self) -> None:
        while (action := self.core.next_action(self._clock())) is not None:
            self.actions.append(action)
            if type(action) is self.at:
                if isinstance(self.error, MemoryError):
                    self.core.out_of_memory(self._clock())
                else:
                    self.core.failed(self.error, self._clock())  # type: ignore[arg-type]
            else:
                getattr(self, f"_{type(action).__name__}")(action)


@pytest.mark.parametrize("at", [StoreSecrets, Compile, CreateTrees, FilePiece])
def test_storage_that_fails_ends_a_keep_at_once(at: type) -> None:
    """Also over the last byte: the Keep has not accepted the package before that is stored."""
    pair = Pair(keep=type("FailsThere", (Failing,), {"at": at}))
    assert refusal(pair) == "compiler"
    assert pair.keep.stored[-1:] == pair.keep.of(at)
    assert [kind for kind, _ in pair.frames] == [FrameType.ATTESTATION, FrameType.OUTPUT]


@pytest.mark.parametrize(
    "error", [DeliveryError("run", "refused", state="session"), MemoryError()], ids=["error", "memory"]
)
def test_a_workload_that_cannot_be_started_ends_the_job(error: Exception) -> None:
    """It was accepted, so the end is a failure of the job, proven as any other; it is not waited for."""
    pair = Pair(keep=type("FailsToStart", (Failing,), {"at": Start, "error": error}))
    pair.deliver()
    assert pair.state == "ended"
    assert type(pair.keep.actions[-1]) is Done
    opener = pair.session.opener()
    records = [opener.open(payload) for kind, payload in pair.frames if kind is FrameType.OUTPUT]
    status = records[-1].status
    assert status is not None
    assert (status.cause, status.message.split(":")[0]) == ("failed", getattr(error, "code", "keeper-memory"))


def test_storage_without_memory() -> None:
    pair = Pair(keep=type("Starved", (Failing,), {"error": MemoryError()}))
    assert refusal(pair) == "keeper-memory"


def test_parsing_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("enarx.delivery.content.decode_index", starved)
    assert refusal(Pair()) == "keeper-memory"


def test_a_refusals_time_is_not_before_the_deliverys() -> None:
    pair = Pair()
    chunks = pair.begin()
    pair.clock.behind = 500
    pair.keep.receive(chunks[0][:-1] + bytes([chunks[0][-1] ^ 1]))
    status = pair.session.opener().open(pair.only(FrameType.OUTPUT)).status
    assert status is not None
    assert (status.message.split(":")[0], status.time) == ("stream-broken", NOW)


# --- evidence ----------------------------------------------------------------------------------------------------------


def test_hardware_that_gives_no_evidence_ends_a_keep_without_a_word() -> None:
    pair = challenged()
    pair.keep.core.no_evidence()
    pair.keep.core.no_evidence()
    pair.keep.act()
    assert pair.sent() == []
    assert pair.keep.of(Done) == [Done()]


def test_evidence_that_fits_no_frame_is_refused() -> None:
    pair = Pair(attest=lambda _: ("simulated", bytes(LARGEST[FrameType.ATTESTATION]), ()))
    pair.challenge()
    assert pair.code() == "frame-size"


def test_evidence_that_nobody_asked_for_is_dropped() -> None:
    pair = Pair()
    pair.keep.core.evidence("simulated", b"evidence", (), pair.clock())
    pair.keep.act()
    assert (pair.sent(), pair.state) == ([], "fresh")


def request(pair: Pair, nonce: int) -> None:
    pair.keep.receive(frame(FrameType.ATTEST, Attest(nonce=bytes([nonce]) * 32).to_bytes()))


def test_fresh_evidence_is_made_for_one_request_at_a_time() -> None:
    pair = Pair(keep=Manual)
    pair.attach()
    pair.keep._AskEvidence = lambda action: None  # type: ignore[method-assign]
    before = len(pair.keep.actions)
    request(pair, 1)
    request(pair, 2)
    assert len(pair.keep.actions) == before + 1
    pair.keep.core.evidence("simulated", b"fresh", (), pair.clock())
    pair.keep.act()
    pair.only(FrameType.EVIDENCE)
    request(pair, 3)
    assert len(pair.keep.actions) == before + 3


@pytest.mark.parametrize("answer", ["none", "too large"])
def test_a_running_job_does_without_fresh_evidence(answer: str) -> None:
    pair = Pair(keep=Manual)
    attachment = pair.attach()
    pair.keep._AskEvidence = lambda action: None  # type: ignore[method-assign]
    request(pair, 1)
    if answer == "none":
        pair.keep.core.no_evidence()
    else:
        pair.keep.core.evidence("simulated", bytes(LARGEST[FrameType.EVIDENCE]), (), pair.clock())
    pair.keep.act()
    assert (pair.sent(), pair.state) == ([], "session")
    pair.keep.receive(attachment.send(16, 0, b"still attached"))
    pair.keep.core.stdin_written(14)
    pair.keep.act()
    pair.only(FrameType.REPLY)


def test_faults_of_the_driver_are_of_the_classes_that_it_may_report() -> None:
    pair = Pair()
    pair.keep.core.failed(UsageError("some-code", "message"), pair.clock())
    pair.keep.act()
    assert refusal_code(pair.only(FrameType.REFUSAL)) == "some-code"
    pair.keep.core.malformed(ParseError("frame-type", "after the end", what="frame"), pair.clock())
    pair.keep.act()
    assert pair.sent() == []
