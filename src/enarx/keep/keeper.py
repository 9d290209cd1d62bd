"""The keeper: the Keep's first process. It makes the keys, attests, takes the delivery, and watches over the runner.

It ends with 0 whatever the workload did: how that ended is said in the sealed final record and nowhere else.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from typing import Any

from enarx.delivery.content import Receiver
from enarx.delivery.keep import ANY_PACKAGE, ENTROPY_SIZE, KeepProtocol
from enarx.delivery.session import Status
from enarx.delivery.states import COMPLETE
from enarx.errors import DeliveryError, EnarxError, ParseError, UnavailableError, UsageError
from enarx.formats import bounds
from enarx.formats.config import Config
from enarx.formats.package import Manifest
from enarx.formats.wire import CHUNK, FrameType
from enarx.keep import sandbox
from enarx.keep.attester.simulated import SimulatedAttester
from enarx.keep.deadlines import CONFIRM_EVERY, Deadlines
from enarx.keep.files import Storage
from enarx.keep.frames import Frames
from enarx.keep.guest import runner
from enarx.keep.hashing import AHEAD, Hashing
from enarx.keep.watch import Watch

REST_FILES = 64
"""Descriptors of the keeper once the runner has its own."""


class Keeper:
    """One Keep's life."""

    def __init__(
        self,
        frames: Frames,
        report: socket.socket,
        handle: runner.Handle,
        isolation: sandbox.Isolation,
        limits: dict[str, int],
        skip: frozenset[str],
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # it cannot be changed
    ) -> None:
        self._frames = frames
        self._deadlines = deadlines
        self._handle = handle
        self._isolation = isolation
        self._limits = limits
        self._skip = skip
        self._attester = SimulatedAttester(report)
        self._protocol = KeepProtocol(entropy=os.urandom(ENTROPY_SIZE), package=self._attester.host_data)

    def serve(self) -> None:
        """Admit, receive, run. What goes wrong before there is a session is refused in clear, afterwards under seal."""
        try:
            self._admit()
            manifest = self._accept()
            storage = self._receive(manifest)
        except UnavailableError:
            raise
        except EnarxError as e:
            self._refuse(e)
            return
        except MemoryError:
            said = "taking the package in needs more memory than the host gives: raise limits.compile or limits.disk"
            self._refuse(DeliveryError("keeper-memory", said, state="receiving"))
            return
        order = self._order(manifest.config, storage)
        watch = Watch(self._protocol, self._frames, self._handle, manifest.config, order, self._attester)
        watch.run()

    def _admit(self) -> None:
        launched = self._attester.host_data != ANY_PACKAGE
        payload = self._next(FrameType.CHALLENGE, self._deadlines.challenge if launched else None)
        report_data = self._protocol.challenge(bytes(payload))
        evidence, endorsements = self._attester.attest(report_data)
        self._frames.write(self._protocol.attestation(self._attester.kind, evidence, endorsements))
        self._frames.drain()

    def _accept(self) -> Manifest:
        manifest = self._protocol.delivery(bytes(self._next(FrameType.DELIVERY, self._deadlines.delivery)))
        sockets = manifest.config.sockets()
        if sockets:
            raise UsageError("sockets", f"this Keep has no sockets for a workload yet: {sockets[0].name}")
        if manifest.config.limits.memory > self._limits["memory"]:
            raise DeliveryError(
                "memory-limit", "the package asks for more memory than the host gives", state="attested"
            )
        self._require_files(manifest.config.limits.open_files)
        return manifest

    def _require_files(self, open_files: int) -> None:
        """What this machine's hard limit allows is known before anything of the workload is here."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if open_files + bounds.OWN_FILES > hard:
            said = f"limits.open_files is {open_files}, this host's hard limit leaves {hard - bounds.OWN_FILES}"
            raise UsageError("open-files", said, hint="raise the host's limit on open files, or lower open_files")

    def _receive(self, manifest: Manifest) -> Storage:
        """Take the sealed stream into storage, checked; all memory this needs is some chunks and the module."""
        storage = Storage(
            manifest,
            self._isolation,
            limit=self._limits["disk"],
            compile=lambda wasm: self._compile(wasm, manifest),
            sized=self._confine,
        )
        with Hashing() as hashing:
            receiver = Receiver(manifest, storage, sha256=hashing.sha256)
            buffers = [memoryview(bytearray(CHUNK)) for _ in range(AHEAD + 1)]
            new = said = time.monotonic()
            while self._protocol.conversation.state != COMPLETE:
                payload = self._next(FrameType.CHUNK, new + self._deadlines.idle - time.monotonic())
                buffers.append(buffers.pop(0))  # the others may still be read by the thread that hashes
                size = self._protocol.chunk(payload, buffers[0])
                if size is None:
                    continue
                receiver.feed(buffers[0][:size])
                new = time.monotonic()
                said = self._confirm(new, said)
            receiver.finish()
        self._frames.write(self._protocol.acceptance())
        return storage

    def _confirm(self, now: float, said: float) -> float:
        """Tell the tenant how far it is, now and then; returns when it was told last."""
        assert self._protocol.opener is not None  # chunks were opened
        due = self._protocol.opener.next % CONFIRM_EVERY == 0 or now - said >= self._deadlines.confirm
        if not due or self._protocol.conversation.state == COMPLETE:
            return said
        self._frames.write(self._protocol.received())
        return now

    def _confine(self) -> None:
        """The last right goes with the last thing that needed it; before there is any thread."""
        sandbox.confine(
            sandbox.KEEPER,
            skip=self._skip,
            nofile=REST_FILES,
            nproc=runner.MAX_PROCESSES,
            read_write=(self._isolation.data,),
        )

    def _compile(self, module: bytes, manifest: Manifest) -> None:
        limits = manifest.config.limits
        memory = limits.compile or bounds.compile_allowance(len(module))
        if memory > self._limits["compile"]:
            said = f"compiling may take {memory} bytes, the host gives {self._limits['compile']}"
            raise DeliveryError("compile-limit", said, state="receiving")
        self._handle.compilation.start(module, fuel=limits.fuel is not None, memory=memory)

    def _order(self, config: Config, storage: Storage) -> dict[str, Any]:
        assert storage.head_ is not None  # a complete package has a head
        time_limit = config.limits.time
        env = dict(storage.head_.env)
        secrets = dict(storage.head_.secrets)
        env |= {s.env: secrets[s.name].decode(errors="surrogateescape") for s in config.secrets if s.env is not None}
        if config.files is not None:
            env |= {"FD_COUNT": str(len(config.files)), "FD_NAMES": ":".join(f.name for f in config.files)}
        return {
            "args": list(storage.head_.args),
            "env": env,
            "dirs": storage.dirs(),
            "memory": config.limits.memory,
            "fuel": config.limits.fuel,
            "milliseconds": None if time_limit is None else max(1, round(time_limit * 1000)),
            "open_files": config.limits.open_files,
            "data": bounds.process_memory(memory=config.limits.memory, compile=self._limits["compile"]),
            "bound": bounds.keep_memory(**self._limits),
        }

    def _next(self, wanted: FrameType, seconds: float | None) -> memoryview:
        """The payload of the next frame, which has to be of this type and to come in time.

        A tenant that was interrupted repeats its Delivery before it goes on with chunks.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            frame = self._frames.wait(deadline)
            if frame is None:
                raise self._late(wanted)
            kind, payload = frame
            if kind is wanted:
                return payload
            if isinstance(kind, ParseError):
                raise kind
            if wanted is not FrameType.CHUNK or kind is not FrameType.DELIVERY:
                said = f"{kind.name.lower()} instead of {wanted.name.lower()}"
                raise DeliveryError("unexpected-message", said, state=self._protocol.conversation.state)
            self._frames.write(self._protocol.again(bytes(payload)))

    def _late(self, wanted: FrameType) -> DeliveryError:
        code = {FrameType.CHALLENGE: "challenge-late", FrameType.DELIVERY: "delivery-late"}.get(wanted, "delivery-idle")
        return DeliveryError(code, f"no {wanted.name.lower()} came in time", state=self._protocol.conversation.state)

    def _refuse(self, e: EnarxError) -> None:
        """Say no: under seal once the tenant's keys are here, else by a bare code. Nothing has run."""
        if self._protocol.output is not None:
            now = max(int(time.time()), self._protocol.not_before)
            self._frames.write(
                self._protocol.final(Status(cause="refused", message=f"{e.code}: {e.message}", time=now))
            )
        else:
            self._frames.write(self._protocol.refusal(e.code))
        self._frames.drain()
