"""Candidates for the PCRs of a Nitro enclave, and for MRENCLAVE and MRSIGNER."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TypeVar

from enarx.formats.launch.eif import Eif
from enarx.formats.launch.enclave import Enclave
from enarx.formats.launch.sigstruct import SigStruct
from enarx.image.launch import nitro, sgx
from enarx.image.launch.search import NONE, Candidate
from enarx.record import record

Part = tuple[str, bytes]
Content = TypeVar("Content", bytes, tuple[bytes, ...])


@record(hidden=("kernels", "cmdlines", "ramdisks", "certificates"))
class Parts:
    """Named parts of enclave images, the intended ones first. Ramdisks are grouped by image."""

    kernels: tuple[Part, ...]
    cmdlines: tuple[Part, ...]
    ramdisks: tuple[tuple[str, tuple[bytes, ...]], ...]
    certificates: tuple[Part, ...]


def nitro_launches(parts: Parts, index: int) -> Iterator[Candidate]:
    """PCR 0, 1 or 2 for every combination of parts, or PCR 8 for every certificate."""
    if index == 8:
        yield from (({"signed-by": name}, nitro.signer(pem)) for name, pem in parts.certificates)
        yield {"signed-by": NONE}, bytes(48)
        return
    if index == 2:
        yield from (({"ramdisks": name}, nitro.further(ramdisks)) for name, ramdisks in parts.ramdisks)
        return
    for (kernel, image), (line, cmdline), (name, ramdisks) in product(parts.kernels, parts.cmdlines, parts.ramdisks):
        chosen = ramdisks if index == 0 else ramdisks[:1]
        options = {"kernel": kernel, "append": line, "ramdisks" if index == 0 else "first ramdisk": name}
        yield options, nitro.whole(image, cmdline, chosen)


def parts_of(images: tuple[tuple[str, Eif], ...], certificates: tuple[Part, ...]) -> Parts:
    """The parts of these images; the certificates of signed images come before the given ones."""
    signed = [(name, pem) for name, image in images for pem in nitro.certificates(image)[:1]]
    return Parts(
        kernels=_distinct((name, image.kernel) for name, image in images),
        cmdlines=_distinct((name, image.cmdline) for name, image in images),
        ramdisks=_distinct((name, image.ramdisks) for name, image in images),
        certificates=_distinct((*signed, *certificates)),
    )


def _distinct(parts: Iterable[tuple[str, Content]]) -> tuple[tuple[str, Content], ...]:
    """Each content once, under its first name, because images often share parts and hashing takes time."""
    names: dict[Content, str] = {}
    for name, content in parts:
        names.setdefault(content, name)
    return tuple((name, content) for content, name in names.items())


def enclave_launches(
    layouts: tuple[tuple[str, Enclave], ...], sigstructs: tuple[tuple[str, SigStruct], ...]
) -> Iterator[Candidate]:
    """MRENCLAVE of each layout, and the one in each SIGSTRUCT."""
    yield from (({"layout": name}, sgx.mr_enclave(layout)) for name, layout in layouts)
    yield from (({"sigstruct": name}, sigstruct.mr_enclave) for name, sigstruct in sigstructs)


def signer_launches(sigstructs: tuple[tuple[str, SigStruct], ...]) -> Iterator[Candidate]:
    """MRSIGNER for the key of each SIGSTRUCT."""
    yield from (({"sigstruct": name}, sgx.mr_signer(sigstruct)) for name, sigstruct in sigstructs)
