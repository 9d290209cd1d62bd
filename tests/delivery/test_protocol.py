"""Admission and delivery: each rule of docs/spec/delivery.md, kept and broken."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from enarx.delivery.messages import Attached, Attestation, Challenge, Delivery, sealed_keys
from enarx.delivery.tenant import CHUNK_BUFFER
from enarx.errors import DeliveryError, ParseError, UsageError
from enarx.formats.config import Config
from enarx.formats.package import Head
from enarx.formats.wire import CHUNK, FrameType, encode
from enarx.record import as_dict
from enarx.record import replace as changed
from tests.exchange import (
    CANARIES,
    FILE,
    KEEP_ENTROPY,
    OTHER_OWNER,
    OWNER,
    WASM,
    Content,
    Exchange,
    manifest,
    payload,
    running,
)


def raises(code: str):  # type: ignore[no-untyped-def]
    return pytest.raises(DeliveryError, check=lambda e: e.code == code)


def test_everything_arrives_and_nothing_shows() -> None:
    exchange = Exchange()
    store = exchange.deliver()
    head = store.got["head"]
    assert isinstance(head, Head)
    assert (head.args, dict(head.secrets)) == (("main.wasm", "canary-arg"), {"key": b"canary-secret"})
    assert (store.got["wasm"], store.got["data"]) == (WASM, FILE)
    assert not any(canary in frame for frame in exchange.sent for canary in CANARIES)


def test_keep_for_one_package_refuses_another() -> None:
    exchange = Exchange(host_data=b"\1" * 32)
    with raises("other-package"):
        exchange.challenge()
    Exchange(host_data=manifest().digest).admit()


def test_one_challenge() -> None:
    exchange = Exchange()
    exchange.admit()
    with raises("unexpected-message"):
        exchange.keep.challenge(payload(Exchange().tenant.challenge()))


def test_attestation_must_answer_this_challenge() -> None:
    mine, theirs = Exchange(), Exchange(nonce=b"\7" * 32)
    mine.challenge()
    theirs.challenge()
    with raises("other-challenge"):
        mine.tenant.attestation(theirs.attestation())


@pytest.mark.parametrize("name", ["hpke", "identity"])
def test_swapped_keys_are_not_in_the_report_data(name: str) -> None:
    mine, theirs = Exchange(), Exchange(entropy=KEEP_ENTROPY[::-1])
    report = mine.challenge()
    other = Attestation.from_bytes((theirs.challenge(), theirs.attestation())[1])
    forged = changed(Attestation.from_bytes(mine.attestation()), **{name: getattr(other, name)})
    _, wanted = mine.tenant.attestation(forged.to_bytes())
    assert wanted != report


def delivered(**changes: object) -> tuple[Exchange, bytes]:
    """Return an exchange whose Keep waits for its delivery, and a Delivery with some fields changed."""
    exchange = Exchange()
    exchange.admit()
    return exchange, changed(Delivery.from_bytes(exchange.delivery()), **changes).to_bytes()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"manifest": manifest((OTHER_OWNER,)).raw}, "other-manifest"),
        ({"signature": b"\0" * 64}, "owner-signature"),
        ({"time": 5}, "owner-signature"),
        ({"commitment": b"\0" * 32}, "owner-signature"),
        ({"sealed": b"\0" * 1200}, "unsealable"),
        ({"owner": b"\0" * 32}, "not-an-owner"),
    ],
)
def test_changed_delivery(changes: dict[str, object], code: str) -> None:
    exchange, frame = delivered(**changes)
    with raises(code):
        exchange.keep.delivery(frame)
    assert exchange.keep.output is None


def test_an_owner_who_did_not_ask_may_not_deliver() -> None:
    both = manifest((OWNER, OTHER_OWNER))
    mine = Exchange(package=both)
    mine.admit()
    theirs = Exchange(package=both, owner=OTHER_OWNER)
    theirs.admit()
    with raises("other-verifier"):
        mine.keep.delivery(theirs.delivery())


def test_keys_that_the_owner_did_not_sign() -> None:
    """HPKE authenticates no sender: anyone who knows the public values can seal other keys for the Keep."""
    from enarx.delivery.suite import hpke_seal

    exchange = Exchange()
    exchange.admit()
    delivery = Delivery.from_bytes(exchange.delivery())
    bound = exchange.keep._bind(delivery)
    keys = sealed_keys(stream=b"\5" * 32, session=b"\6" * 32)
    forged = changed(delivery, sealed=hpke_seal(keys, exchange.keep._hpke_public, info=bound))
    with raises("key-commitment"):
        exchange.keep.delivery(forged.to_bytes())


def test_delivery_to_another_keep_does_not_open() -> None:
    mine, theirs = Exchange(), Exchange(entropy=KEEP_ENTROPY[::-1])
    mine.admit()
    theirs.admit()
    with raises("owner-signature"):
        theirs.keep.delivery(mine.delivery())


def test_one_delivery() -> None:
    exchange = Exchange()
    exchange.admit()
    frame = exchange.delivery()
    exchange.keep.delivery(frame)
    with raises("second-delivery"):
        exchange.keep.delivery(frame)


def test_the_same_delivery_again_says_how_far_it_is() -> None:
    exchange = Exchange()
    exchange.admit()
    delivery = exchange.delivery()
    exchange.keep.delivery(delivery)
    sent = exchange.chunks(bytes(2 * CHUNK) + b"end")
    out = memoryview(bytearray(CHUNK))
    assert exchange.keep.chunk(memoryview(sent[0]), out) == CHUNK
    assert exchange.tenant.received(payload(exchange.keep.again(delivery)))
    assert exchange.tenant.confirmed == 1
    assert not exchange.tenant.received(payload(exchange.keep.received())), "nothing new"
    assert exchange.keep.chunk(memoryview(sent[0]), out) is None, "passed over"
    assert exchange.tenant.again()[5:] == delivery
    assert exchange.tenant.resume() == 1
    again = exchange.chunks(bytes(CHUNK) + b"end")
    assert again == sent[1:], "the same bytes under the same nonces"
    assert [exchange.keep.chunk(memoryview(chunk), out) for chunk in again] == [CHUNK, 3]
    assert exchange.keep.conversation.state == "complete"


def test_a_file_that_changed_is_never_sealed_under_a_nonce_that_was_used() -> None:
    exchange = Exchange()
    exchange.admit()
    exchange.delivery()
    exchange.chunks(bytes(CHUNK) + b"end")
    exchange.tenant.again()
    exchange.tenant.resume()
    buffer = bytearray(CHUNK_BUFFER)
    with pytest.raises(UsageError, check=lambda e: e.code == "files-changed"):
        exchange.tenant.chunk(b"\1" + bytes(CHUNK - 1), buffer, final=False)
    assert buffer[9:] == bytes(CHUNK_BUFFER - 9), "nothing of it is left to be sent"


def test_another_delivery_is_not_the_same_again() -> None:
    mine, theirs = Exchange(), Exchange()
    mine.admit()
    mine.keep.delivery(mine.delivery())
    theirs.admit()
    with raises("second-delivery"):
        mine.keep.again(theirs.delivery())


@pytest.mark.parametrize("forge", [lambda p: p[:4] + bytes(16), lambda p: b"\0\0\0\1" + p[4:], lambda p: p[:-1]])
def test_a_confirmation_is_the_keeps(forge) -> None:  # type: ignore[no-untyped-def]
    exchange, _ = chunks()
    with raises("confirmation-broken"):
        exchange.tenant.received(forge(payload(exchange.keep.received())))


def test_a_confirmation_of_more_than_was_sealed_is_refused() -> None:
    from enarx.delivery.stream import Confirmer
    from enarx.delivery.suite import derive

    exchange, _ = chunks()
    assert exchange.session is not None
    confirmer = Confirmer(derive(exchange.session.secret, exchange.session.transcript, "received"))
    with raises("confirmation-broken"):
        exchange.tenant.received(confirmer.confirm(4))


def chunks() -> tuple[Exchange, list[bytes]]:
    exchange = Exchange()
    exchange.admit()
    exchange.keep.delivery(exchange.delivery())
    return exchange, exchange.chunks(bytes(2 * CHUNK) + b"end")


@pytest.mark.parametrize(
    "mangle",
    [
        lambda c: [c[1], c[0], c[2]],
        lambda c: [c[0], c[2]],
        lambda c: [c[2]],
        lambda c: [c[0], c[1][:-1] + bytes([c[1][-1] ^ 1]), c[2]],
        lambda c: [c[0], c[1][:-16], c[2]],
        lambda c: [c[0], b""],
        lambda c: [c[0], c[1][:4] + c[0][4:]],
    ],
    ids=["reordered", "dropped", "only-last", "flipped", "cut", "empty", "renumbered"],
)
def test_mangled_stream(mangle) -> None:  # type: ignore[no-untyped-def]
    exchange, found = chunks()
    out = memoryview(bytearray(CHUNK))
    with pytest.raises(DeliveryError, check=lambda e: e.code in ("stream-broken", "stream-chunk", "stream-order")):
        for chunk in mangle(found):
            exchange.keep.chunk(memoryview(chunk), out)
    assert exchange.keep.conversation.state == "receiving"


def test_nothing_after_the_last_chunk() -> None:
    exchange, found = chunks()
    out = memoryview(bytearray(CHUNK))
    for chunk in found:
        exchange.keep.chunk(memoryview(chunk), out)
    assert exchange.keep.chunk(memoryview(found[-1]), out) is None, "passed over"
    with raises("stream-chunk"):
        exchange.keep.chunk(memoryview(b"\0\0\0\3" + found[-1][4:]), out)
    exchange.keep.acceptance()
    with raises("unexpected-message"):
        exchange.keep.chunk(memoryview(found[-1]), out)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"args": ("other",)}, "head-commitment"),
        ({"env": (("E", "other"),)}, "head-commitment"),
        ({"salt": b"\0" * 32}, "head-commitment"),
        ({"secrets": ()}, "head-secrets"),
        ({"secrets": (("key", b"x"), ("more", b"y"))}, "head-secrets"),
        ({"wasm": WASM + b"\0"}, "content-wasm"),
        ({"file": FILE[:-1] + b"!"}, "content-file"),
        ({"file": FILE[:-1]}, "content-short"),
        ({"file": FILE + b"!"}, "content-trailing"),
    ],
)
def test_content_is_what_the_manifest_commits_to(changes: dict[str, object], code: str) -> None:
    with pytest.raises((DeliveryError, ParseError), check=lambda e: e.code == code):
        Exchange().deliver(replace(Content(), **changes))


@pytest.mark.parametrize("value", [b"a\xffb", b"a\0b"])
def test_a_secret_that_is_a_variable_is_a_text(value: bytes) -> None:
    """The Keep refuses what it could not give its workload, whatever program the tenant has."""
    for config, refused in (('key = {env = "KEY"}', True), ("key = {}", False)):
        content = Content(args=("main.wasm",), env=(), secrets=(("key", value),))
        package = manifest(content=content, config=Config.from_toml(f"[secrets]\n{config}\n"))
        head = Head(
            salt=content.salt, args=("main.wasm",), env=(), secrets=content.secrets, wasm_size=1, index_sizes=(1,)
        ).to_bytes()
        with pytest.raises(ParseError, check=lambda e: e.code == "head-secrets") if refused else nullcontext():
            assert Head.from_bytes(head, package).secrets == content.secrets


def test_changed_index() -> None:
    good = Content()
    with raises("content-index"):
        Exchange().deliver(replace(good, index=good.index[:-1] + bytes([good.index[-1] ^ 1])))


def test_huge_head_is_refused_before_it_is_read() -> None:
    exchange = Exchange()
    exchange.admit()
    exchange.keep.delivery(exchange.delivery())
    with raises("content-head"):
        exchange.receive(exchange.chunks(b"\xff\xff\xff\xff"))


def test_an_attachment_by_another_key_is_not_the_keep() -> None:
    from enarx.delivery.tenant import Attachment

    exchange, _ = running()
    assert exchange.session is not None
    attachment = Attachment(exchange.session, nonce=b"\2" * 32)
    answer = Attached.from_bytes(payload(exchange.keep.attach(payload(attachment.attach()), b"\3" * 32)))
    with raises("keep-signature"):
        attachment.receive(FrameType.ATTACHED, changed(answer, signature=bytes(64)).to_bytes())


@pytest.mark.parametrize("message", [Challenge, Attestation, Delivery])
def test_unknown_fields_are_refused(message: type) -> None:
    exchange = Exchange()
    exchange.admit()
    good = {
        Challenge: payload(exchange.sent[0]),
        Attestation: payload(exchange.sent[1]),
        Delivery: exchange.delivery(),
    }[message]
    from enarx.formats.wire import decode

    value = decode(good, "test")
    assert isinstance(value, dict)
    for broken in ({**value, "more": 1}, {k: v for k, v in value.items() if k != "version"}, {**value, "version": 1}):
        with pytest.raises(ParseError):
            message.from_bytes(encode(broken))
    assert as_dict(message.from_bytes(good))
