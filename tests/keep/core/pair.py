"""A tenant and a `MemoryKeep`, taken step by step with a clock that the test sets."""

from __future__ import annotations

from typing import Any

from enarx.delivery.keep import ANY_PACKAGE
from enarx.delivery.reading import Output
from enarx.delivery.tenant import CHUNK_BUFFER, Admission, Attachment, Session, refusal_code
from enarx.formats.config import Config
from enarx.formats.wire import CHUNK, FrameType
from enarx.keep.core.actions import AskEvidence, CloseStdin, Collect, Kill, Start, WriteStdin
from enarx.keep.core.deadlines import Now
from tests.exchange import ATTACH_NONCE, CONFIG, KEEP_ENTROPY, KEYS, NONCE, NOW, OWNER, Content, manifest
from tests.keep.core.driver import Attest, MemoryKeep


def attest(report_data: bytes) -> tuple[str, bytes, tuple[bytes, ...]]:
    return "simulated", b"evidence", (b"endorsement",)


class Clock:
    """`behind` is by how much the host's clock is set back."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.behind = 0

    def __call__(self) -> Now:
        return Now(self.seconds, NOW + round(self.seconds - 1000) - self.behind)


class Unattested(MemoryKeep):
    """Its hardware does not answer."""

    def _AskEvidence(self, action: AskEvidence) -> None:  # noqa: N802
        return


class Manual(MemoryKeep):
    """Its workload does what the test reports."""

    def _Start(self, action: Start) -> None:  # noqa: N802
        self.start = action

    def _WriteStdin(self, action: WriteStdin) -> None:  # noqa: N802
        return

    def _CloseStdin(self, action: CloseStdin) -> None:  # noqa: N802
        return

    def _Kill(self, action: Kill) -> None:  # noqa: N802
        return

    def _Collect(self, action: Collect) -> None:  # noqa: N802
        return


class Pair:
    """`pooled` Keeps are launched for no package. `options` are those of `MemoryKeep`."""

    def __init__(
        self,
        *,
        config: Config = CONFIG,
        content: Content | None = None,
        pooled: bool = True,
        attest: Attest = attest,
        keep: type[MemoryKeep] = MemoryKeep,
        **options: Any,
    ) -> None:
        self.content = content or Content()
        self.package = manifest(content=self.content, config=config)
        self.clock = Clock()
        self.tenant = Admission(manifest=self.package, owner_seed=OWNER, nonce=NONCE)
        host_data = ANY_PACKAGE if pooled else self.package.digest
        self.keep = keep(attest, host_data=host_data, entropy=KEEP_ENTROPY, clock=self.clock, **options)
        self.session: Session
        self.delivery = b""
        self.frames: list[tuple[FrameType, bytes]] = []

    @property
    def state(self) -> str:
        return self.keep.core.state

    def sent(self) -> list[tuple[FrameType, bytes]]:
        """The frames that the Keep has sent since the last call."""
        news = []
        while not self.keep.out.empty():
            frame = self.keep.out.get()
            news += [frame] if frame is not None else []
        self.frames += news
        return news

    def only(self, kind: FrameType) -> bytes:
        """The payload of the only frame that the Keep has sent, after checking its type."""
        ((found, payload),) = self.sent()
        assert found is kind
        return payload

    def code(self) -> str:
        """The code of the Keep's refusal, in clear or under seal."""
        kind, payload = self.sent()[-1]
        assert self.keep.core.over
        if kind is FrameType.REFUSAL:
            return refusal_code(payload)
        output = self.session.opener().open(payload)
        assert output.status is not None
        assert output.status.cause == "refused"
        return output.status.message.split(":")[0]

    def challenge(self) -> None:
        self.keep.receive(self.tenant.challenge())

    def admit(self) -> None:
        self.challenge()
        self.tenant.attestation(self.only(FrameType.ATTESTATION))

    def send_delivery(self) -> None:
        self.delivery, self.session = self.tenant.delivery(entropy=KEYS, now=NOW)
        self.keep.receive(self.delivery)

    def begin(self) -> list[bytes]:
        """Admit and deliver; returns the frames of the package's chunks."""
        self.admit()
        self.send_delivery()
        return self.chunks(self.content.plaintext())

    def chunks(self, plaintext: bytes) -> list[bytes]:
        pieces = [plaintext[i : i + CHUNK] for i in range(0, len(plaintext), CHUNK)] or [b""]
        buffer = bytearray(CHUNK_BUFFER)
        last = len(pieces) - 1
        return [bytes(self.tenant.chunk(piece, buffer, final=i == last)) for i, piece in enumerate(pieces)]

    def deliver(self) -> Attachment:
        """All up to the session, which the attachment has read so far."""
        for chunk in self.begin():
            self.keep.receive(chunk)
        attachment = Attachment(self.session, nonce=ATTACH_NONCE)
        accepted = [payload for kind, payload in self.sent() if kind is FrameType.OUTPUT]
        for payload in accepted:
            attachment.receive(FrameType.OUTPUT, payload)
        return attachment

    def attach(self) -> Attachment:
        attachment = self.deliver()
        self.keep.receive(attachment.attach())
        self.read(attachment)
        return attachment

    def read(self, attachment: Attachment) -> list[Output]:
        """Give the attachment what the Keep has sent; returns the output records."""
        outputs = [attachment.receive(kind, payload) for kind, payload in self.sent()]
        return [output for output in outputs if output is not None]
