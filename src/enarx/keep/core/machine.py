"""The state machine: from the Challenge to the final record (docs/spec/delivery.md).

`KeepProtocol` checks what a message proves and moves the state table. `Core` decides what the Keep does next:

1. admit: take one Challenge, request evidence, answer with the Attestation
2. receive: take one Delivery, check its manifest against the host's limits, then store the package's parts as they are opened
   and checked, and confirm received chunks at intervals
3. accept: once everything is stored, send the sealed acceptance and start the workload
4. serve: attachments, stdin, output, fresh evidence (`Workload`), until the final record

A fault before there is a session refuses the tenant and ends the Keep: in clear, or under seal once the owner's keys are
here. In a session it ends the newest attachment and never the workload, because anyone between tenant and Keep can cause a fault.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator

from enarx.delivery.content import FilePiece, Hash, Module, Part, Receiver, Trees
from enarx.delivery.keep import ANY_PACKAGE, KeepProtocol
from enarx.delivery.session import Status
from enarx.delivery.states import CHALLENGED, COMPLETE, FRESH, RECEIVING, SESSION
from enarx.errors import DeliveryError, EnarxError, ParseError, UsageError
from enarx.formats import bounds
from enarx.formats.package import Head, Manifest
from enarx.formats.wire import CHUNK, FrameType
from enarx.keep.core.actions import Action, AskEvidence, Compile, CreateTrees, Done, Send, Start, StoreSecrets
from enarx.keep.core.deadlines import CONFIRM_EVERY, Deadlines, Now
from enarx.keep.core.limits import Limits
from enarx.keep.core.workload import Workload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.keep.core.gathering import Answer, Gathering

NONCE_SIZE = 32
"""Fresh bytes that come with each frame, for the nonce or key that answers it."""

LATE = {FRESH: ("challenge-late", "challenge"), RECEIVING: ("delivery-idle", "chunk")}
NO_MEMORY = "receiving the package needs more memory than the host gives: raise limits.compile or limits.disk"


class Core:
    """One Keep, from launch to end. The methods before `next_action` are events; none of them raises for a fault of a peer.

    `entropy` is ENTROPY_SIZE fresh bytes (`delivery.keep`) for the Keep's keys. `host_data` is the digest of the package
    that the hardware launched it for, or ANY_PACKAGE. Chunks are opened into `buffers` buffers in turn: a `sha256` that
    still reads earlier pieces while the next is opened needs more than one. `gathering` is the code for several owners of
    data; without it the Keep refuses a package that has them.
    """

    def __init__(
        self,
        *,
        entropy: bytes,
        host_data: bytes,
        limits: Limits,
        now: Now,
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # it cannot be changed
        sha256: Callable[[], Hash] = hashlib.sha256,
        buffers: int = 1,
        gathering: type[Gathering] | None = None,
    ) -> None:
        self._protocol = KeepProtocol(entropy=entropy, package=host_data)
        self._limits = limits
        self._deadlines = deadlines
        self._sha256 = sha256
        self._buffers = buffers
        self._actions: deque[Action] = deque()
        self._asked: dict[object, tuple[bytes, Answer]] = {}
        self._shared = gathering
        self._gathering: Gathering | None = None
        self._workload: Workload | None = None
        self._package: Package | None = None
        self._wait = None if host_data == ANY_PACKAGE else now.clock + deadlines.challenge
        self.over = False

    @property
    def state(self) -> str:
        """The state of the conversation with the tenant (`delivery.states`)."""
        return self._protocol.state

    @property
    def deadline(self) -> float | None:
        """The clock's reading at which `tick` has something to do; None if only another event can change anything."""
        return self._workload.deadline if self._workload is not None else self._wait

    # --- events --------------------------------------------------------------------------------------------------

    def frame(self, kind: FrameType, payload: memoryview, now: Now, entropy: bytes) -> None:
        """A frame arrived, from the tenant or forged by the host. `entropy` is NONCE_SIZE fresh bytes."""
        self._guard(now, self._frame, kind, payload, now, entropy)

    def malformed(self, error: ParseError, now: Now) -> None:
        """A frame of unknown type or invalid size arrived, and was skipped. A provider's ends no attachment of the owner's."""
        if self._gathering is None or error.what != "part":
            self._fault(error, now)

    def evidence(self, kind: str, evidence: bytes, endorsements: tuple[bytes, ...], now: Now) -> None:
        """The requested evidence arrived, with its endorsements."""
        if answer := self._answered():
            self._guard(now, self._evidence, answer, kind, evidence, endorsements)

    def no_evidence(self) -> None:
        """The hardware gave no evidence. A Keep that has not attested yet ends; a running job goes on."""
        self._answered()
        if self.state == CHALLENGED and not self.over:
            self._end()

    def failed(self, error: EnarxError, now: Now) -> None:
        """The driver could not perform an action: the package is refused or, once it was accepted, the job ends."""
        if self._workload is None:
            self._fault(error, now)
            return
        if self._gathering is not None and self._gathering.failed(error):
            return
        sends = [action for action in self._actions if isinstance(action, Send)]
        self._actions.clear()  # the others depend on the action that failed
        self._actions.extend(sends)
        self._workload.finish(Status(cause="failed", message=f"{error.code}: {error.message}"), now)
        self._end()

    def out_of_memory(self, now: Now) -> None:
        """The driver was refused memory. Ends the Keep like `failed`."""
        self.failed(self._no_memory(), now)

    def tick(self, now: Now) -> None:
        """Time has passed, and the deadline may have been reached."""
        if self._workload is not None:
            self._workload.tick(now)
        elif self._wait is not None and now.clock >= self._wait:
            self._fault(self._late(), now)

    def loaded(self, now: Now) -> None:
        """The workload is compiled, and is about to run."""
        if self._workload is not None:
            self._workload.loaded(now)

    def output(self, descriptor: int, data: bytes) -> None:
        """The workload wrote to its descriptor 1 or 2."""
        if self._workload is not None:
            self._workload.output(descriptor, data)

    def stdin_written(self, count: int) -> None:
        """The workload's stdin took `count` bytes."""
        if self._workload is not None:
            self._workload.stdin_written(count)

    def stdin_closed(self) -> None:
        """The workload has closed its stdin."""
        if self._workload is not None:
            self._workload.stdin_closed()

    def compile_failed(self, message: str) -> None:
        """The compiler ended without code, for this reason."""
        if self._workload is not None:
            self._workload.compile_failed(message)

    def ended(self, result: bytes, otherwise: Status, now: Now) -> None:
        """The workload has ended, and all of its output has been passed to `output`.

        `result` is the runner's report, CBOR of a status's fields. `otherwise` is for a report that is missing or not credible.
        """
        if self._workload is not None and not self._workload.ended(result, otherwise, now):
            self._end()

    def files(self, data: bytes) -> None:
        """The next bytes of the stream of output directories arrived."""
        if self._workload is not None:
            self._workload.files(data)

    def collected(self, report: bytes, now: Now) -> None:
        """All files have been passed to `files`. `report` is the collector's, empty if it gave none."""
        if self._workload is not None:
            self._workload.collected(report, now)
            self._end()

    def held(self, seconds: float) -> None:
        """The host has taken no output for this long."""
        if self._workload is not None:
            self._workload.held(seconds)

    def next_action(self, now: Now) -> Action | None:
        """Return the next action, None if none is left. The call confirms that the previous action has been performed."""
        while not self._actions and self._package is not None and self._package.parts is not None:
            self._guard(now, self._advance, self._package, now)
        while not self._actions and self._gathering is not None and self._gathering.steps is not None:
            self._gathering.advance(now)
        return self._actions.popleft() if self._actions else None

    # --- faults and ends -----------------------------------------------------------------------------------------

    def _guard(self, now: Now, step: Callable[..., None], *args: object) -> None:
        if self.over:
            return
        try:
            step(*args)
        except MemoryError:
            self._fault(self._no_memory(), now)
        except EnarxError as e:
            self._fault(e, now)

    def _fault(self, error: EnarxError, now: Now) -> None:
        if self.over:
            return
        if self.state == SESSION:
            self._send(self._protocol.broken())
            return
        if self._protocol.output is None:
            self._send(self._protocol.refusal(error.code))
        else:
            time = max(now.unix, self._protocol.not_before)
            message = f"{error.code}: {error.message}"
            self._send(self._protocol.final(Status(cause="refused", message=message, time=time)))
        self._end()

    def _end(self) -> None:
        self.over = True
        self._wait = self._package = self._workload = self._gathering = None
        self._asked.clear()
        self._actions.append(Done())

    def _no_memory(self) -> DeliveryError:
        return DeliveryError("keeper-memory", NO_MEMORY, state=self.state)

    def _late(self) -> DeliveryError:
        code, wanted = LATE.get(self.state, ("delivery-late", "delivery"))
        return DeliveryError(code, f"no {wanted} came in time", state=self.state)

    def _send(self, frames: bytes) -> None:
        if frames:
            self._actions.append(Send(frames))

    # --- frames --------------------------------------------------------------------------------------------------

    def _frame(self, kind: FrameType, payload: memoryview, now: Now, entropy: bytes) -> None:
        if kind is FrameType.CHUNK:
            self._chunk(payload, entropy)
        elif kind is FrameType.INPUT:
            self._input(bytes(payload))
        elif kind is FrameType.CHALLENGE:
            self._challenge(bytes(payload), now)
        elif kind is FrameType.DELIVERY and self.state == RECEIVING:
            self._send(self._protocol.again(bytes(payload)))
        elif kind is FrameType.DELIVERY:
            self._delivery(bytes(payload), now)
        elif kind is FrameType.ATTACH:
            self._send(self._protocol.attach(bytes(payload), entropy))
            self._running().attached()
        elif kind is FrameType.ATTEST:
            self._ask("owner", lambda: (self._protocol.attest(bytes(payload)), self._protocol.evidence))
        elif self._gathering is not None and kind in (FrameType.JOIN, FrameType.CONTRIBUTION, FrameType.PART):
            self._gathering.frame(kind, payload, now, entropy)
        else:
            raise self._protocol.conversation.unexpected(kind)

    def _challenge(self, payload: bytes, now: Now) -> None:
        report_data = self._protocol.challenge(payload)
        self._ask("challenge", lambda: (report_data, self._protocol.attestation))
        self._wait = now.clock + self._deadlines.delivery

    def _ask(self, party: object, request: Callable[[], tuple[bytes, Answer]]) -> None:
        """Request evidence, one request of each party at a time. `request` returns report data and the answer's maker."""
        if party not in self._asked:
            self._asked[party] = request()
            if len(self._asked) == 1:
                self._actions.append(AskEvidence(self._asked[party][0]))

    def _answered(self) -> Answer | None:
        """Take the oldest request, and go on to the next; returns the function that makes the answer, if evidence is awaited."""
        answer = self._asked.pop(next(iter(self._asked)))[1] if self._asked else None
        self._actions.extend(AskEvidence(report_data) for report_data, _ in list(self._asked.values())[:1])
        return answer

    def _evidence(self, answer: Answer, kind: str, evidence: bytes, endorsements: tuple[bytes, ...]) -> None:
        try:
            self._send(answer(kind, evidence, endorsements))
        except ParseError:
            if self.state != SESSION:
                raise
            # too large for a frame: not the tenant's fault, and the tenant sees that no answer arrives

    def _delivery(self, payload: bytes, now: Now) -> None:
        manifest = self._protocol.delivery(payload)
        if manifest.shared and self._shared is None:
            raise UsageError("providers", "this Keep has no code for providers and recipients")
        self._limits.check(manifest.config)
        self._package = Package(manifest, self._sha256, self._buffers, now)
        self._wait = now.clock + self._deadlines.idle

    def _input(self, payload: bytes) -> None:
        record = self._protocol.input(payload)
        if record is not None:
            self._running().input(*record)

    def _running(self) -> Workload:
        assert self._workload is not None  # the table allows the caller only in a session
        return self._workload

    # --- a package -----------------------------------------------------------------------------------------------

    def _chunk(self, payload: memoryview, entropy: bytes) -> None:
        package = self._package
        if package is None:
            raise self._protocol.conversation.unexpected(FrameType.CHUNK)
        assert package.parts is None, "the driver has not performed all actions"
        package.entropy = entropy
        buffer = package.next_buffer()
        size = self._protocol.chunk(payload, buffer)
        if size is not None:
            package.parts = package.receiver.feed(buffer[:size])

    def _advance(self, package: Package, now: Now) -> None:
        """Parse the newest chunk up to its next part, which becomes an action, or to its end."""
        assert package.parts is not None
        part = next(package.parts, None)
        if part is None:
            package.parts = None
            self._chunk_taken(package, now)
        elif isinstance(part, FilePiece):
            self._actions.append(part)
        elif isinstance(part, Head):
            package.head = part
            self._actions.append(StoreSecrets(part.secrets))
        elif isinstance(part, Module):
            self._compile(package, part.data)
        elif isinstance(part, Trees):
            self._actions.append(CreateTrees(part.trees, self._limits.disk_size(package.manifest.config, part.trees)))

    def _compile(self, package: Package, module: bytes) -> None:
        config = package.manifest.config
        package.compile_seconds = bounds.WALL_FACTOR * bounds.compile_seconds(len(module))
        memory = self._limits.compile_memory(config, module)
        self._actions.append(Compile(module, config.limits.fuel is not None, memory))

    def _chunk_taken(self, package: Package, now: Now) -> None:
        assert self._protocol.opener is not None
        self._wait = now.clock + self._deadlines.idle
        if self.state == COMPLETE:
            package.receiver.finish()
            self._accept(package, now)
        elif (
            self._protocol.opener.next % CONFIRM_EVERY == 0 or now.clock - package.confirmed >= self._deadlines.confirm
        ):
            package.confirmed = now.clock
            self._send(self._protocol.received())

    def _accept(self, package: Package, now: Now) -> None:
        """Accept the package, now that everything is stored: open the session and start the workload."""
        config, start, seconds = package.manifest.config, package.start(), package.compile_seconds
        if self._shared is not None and package.manifest.shared:
            # made before the session opens: from then on, no fault can refuse the package
            parts = self._shared(self._protocol, package, self._actions, self._ask, self._deadlines, now)
            self._send(self._protocol.acceptance())
            self._workload = self._gathering = parts
            parts.begin(now)
        else:
            self._send(self._protocol.acceptance())
            self._actions.append(start)
            self._workload = Workload(self._protocol, config, self._actions, compile_seconds=seconds, now=now)
        self._package = self._wait = None


class Package:
    """A package while it is received. `entropy` are the fresh bytes that came with its newest chunk."""

    def __init__(self, manifest: Manifest, sha256: Callable[[], Hash], buffers: int, now: Now) -> None:
        self.manifest = manifest
        self.receiver = Receiver(manifest, sha256=sha256)
        self.parts: Iterator[Part] | None = None
        self.head: Head | None = None
        self.compile_seconds = 0
        self.entropy = b""
        self.confirmed = now.clock
        self._buffers = deque(memoryview(bytearray(CHUNK)) for _ in range(buffers))

    def next_buffer(self) -> memoryview:
        """Return the buffer that was used longest ago."""
        self._buffers.rotate(1)
        return self._buffers[0]

    def start(self) -> Start:
        """Return the action that runs it. A secret may also be a variable; FD_COUNT and FD_NAMES list the files."""
        assert self.head is not None  # a complete package has a head
        config = self.manifest.config
        env, secrets = dict(self.head.env), dict(self.head.secrets)
        env |= {s.env: secrets[s.name].decode() for s in config.secrets if s.env is not None and s.name in secrets}
        if config.files is not None:
            env |= {"FD_COUNT": str(len(config.files)), "FD_NAMES": ":".join(f.name for f in config.files)}
        return Start(
            args=self.head.args,
            env=tuple(env.items()),
            dirs=tuple((i, d.guest, d.mode != "ro") for i, d in enumerate(config.dirs)),
            secrets=bool(config.secrets),
            limits=config.limits,
            results=any(d.mode == "out" for d in config.dirs),
            tty=config.tty,
        )
