"""T60: the sender of evidence supplies the key or root that signed its forged evidence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from enarx.cli.main import main
from enarx.errors import UsageError
from enarx.formats.bundle import Bundle, Item
from enarx.formats.endorsements import Given
from enarx.verify import Roots, TrustAnchor, examine
from tests.attacks.handed import CHAIN, Party
from tests.controls import Control, command
from tests.forge import amd, arm, intel, snp, tpm
from tests.formats.test_endorsements import jwk

ARM, AK = arm.key("platform"), tpm.rsa_key()
PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
FORMS: dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]] = {
    "DER": (lambda: arm.spki("platform"), lambda: tpm.spki(AK)),
    "PEM": (
        lambda: ARM.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        lambda: AK.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ),
    "JWK": (jwk, lambda: tpm.spki(AK)),
    "private": (lambda: ARM.private_bytes(*PKCS8), lambda: tpm.spki(AK)),
}
"""The key that signs a forged token, and the one that signs a forged quote, as files."""

OPEN = [pytest.param(kind, marks=pytest.mark.kinds(kind)) for kind in ("cca", "tpm")]
"""The kinds whose keys a relying party names itself."""


def token() -> bytes:
    return arm.token()


def quote() -> bytes:
    return tpm.attestation()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", OPEN)
def test_a_key_among_endorsements_is_believed_by_nobody(party: Party, kind: str, form: str) -> None:
    evidence, key = (token(), FORMS[form][0]()) if kind == "cca" else (quote(), FORMS[form][1]())
    found = party.verify(evidence, "--kind", kind, key=key)
    assert "TRUST ANCHOR" not in found.err
    check = "platform-signature" if kind == "cca" else "key-provenance"
    assert found.outcomes[check] == "not checked"
    assert found.exit == (
        127 if kind == "cca" else 0
    )  # a quote is authentic as far as it goes, and ak_certified unknown
    if kind == "tpm":
        assert found.value["claims"]["ak_certified"] is None
    (left,) = found.value["unused"]
    assert (left["source"], "keys are trusted only with --trust-anchor" in left["reason"]) == (
        str(party.directory / "key"),
        True,
    )
    assert f"unused: {left['source']}" in found.err
    named = party.verify(evidence, "--kind", kind, "--trust-anchor", str(party.directory / "key"))
    assert (named.exit, named.outcomes[check]) == (0, "passed")  # so it is the key that was missing, and no more
    assert "TRUST ANCHOR: 1 public keys" in named.err


@pytest.mark.kinds("cca")
def test_nor_by_the_command_of_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(token())
    (tmp_path / "key").write_bytes(arm.spki("platform"))
    verify = [
        str(Path(sys.executable).with_name("enarx")),
        "evidence",
        "verify",
        str(tmp_path / "token"),
        "--authenticity-only",
    ]
    for option, code in (("--endorsements", 127), ("--trust-anchor", 0)):
        ran = subprocess.run([*verify, option, str(tmp_path / "key")], capture_output=True, check=False)
        assert ran.returncode == code, ran.stderr


@pytest.mark.kinds("tpm")
def test_a_quote_that_the_policy_to_begin_with_refuses(party: Party, capsys: pytest.CaptureFixture[str]) -> None:
    """Forged with a key that is among the endorsements, which were once trusted."""
    assert main(["policy", "init", "--kind", "tpm", str(party.directory / "tpm.toml")]) == 0
    digest = party.verify(quote())[1]["claims"]["measurement"]
    policy = (party.directory / "tpm.toml").read_text()
    lines = [f'measurement = "{digest}"' if line.startswith("measurement") else line for line in policy.splitlines()]
    (party.directory / "tpm.toml").write_text("\n".join(lines))
    verify = ["evidence", "verify", str(party.directory / "evidence"), "--policy", str(party.directory / "tpm.toml")]
    verify += ["--report-data", tpm.FRESH.hex()]
    key = str(party.put("key.der", tpm.spki(AK)))
    good = command(capsys, verify=verify, key=["--trust-anchor", key])
    assert good.but().code == 0
    assert good.but(key=["--endorsements", key]).code == 127


@pytest.mark.kinds("tpm")
@pytest.mark.parametrize("where", ["file", "directory", "bundle"])
def test_a_root_among_endorsements_is_none(party: Party, where: str) -> None:
    ak, issuer, root = tpm.maker()
    evidence = tpm.attestation(certificates=(ak, issuer))
    if where == "bundle":
        root = Bundle(items=(Item(what="a root", source="", until=None, data=root),)).to_bytes()
    found = party.verify(evidence, root=root)
    if where == "directory":
        found = party.verify(evidence, "--endorsements", str(party.directory))
    assert (found.outcomes["key-provenance"], found.value["claims"]["ak_certified"]) == ("not checked", None)


WRONG: dict[str, Callable[[], bytes]] = {
    "a bundle": lambda: Bundle(items=(Item(what="", source="", until=None, data=tpm.maker()[2]),)).to_bytes(),
    "collateral": intel.collateral,
    "a certificate table": lambda: amd.table(tpm.maker()[2]),
    "a revocation list": amd.crl,
    "a PEM file with a list in it": lambda: intel.revoked(intel.ROOT).public_bytes(Encoding.PEM),
    "Azure's certificates": lambda: json.dumps({"vcekCert": intel.pem(tpm.maker()[2])}).encode(),
    "nothing": lambda: b"",
    "JSON": lambda: b"{",
}


@pytest.mark.kinds("tpm")
@pytest.mark.parametrize("name", WRONG)
def test_an_anchor_is_a_key_or_a_certificate_in_a_file_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "quote").write_bytes(quote())
    (tmp_path / "anchor").write_bytes(WRONG[name]())
    verify = ["evidence", "verify", str(tmp_path / "quote"), "--authenticity-only", "--trust-anchor"]
    assert main([*verify, str(tmp_path / "anchor")]) == 125
    assert str(tmp_path / "anchor") in capsys.readouterr().err


@pytest.mark.kinds("tpm")
def test_a_directory_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "quote").write_bytes(quote())
    (tmp_path / "key.der").write_bytes(tpm.spki(AK))
    assert (
        main(["evidence", "verify", str(tmp_path / "quote"), "--authenticity-only", "--trust-anchor", str(tmp_path)])
        == 125
    )
    assert "name each file" in capsys.readouterr().err


def test_an_anchor_that_the_kind_has_no_use_for_is_named(party: Party) -> None:
    """A forged ARK is not accepted as a root under any file name."""
    ark = amd.certificate("ARK-Genoa", "ARK-Genoa", amd.rsa_key("x"), amd.rsa_key("x"))
    anchors = [str(party.put("ark.der", ark)), str(party.put("key.der", tpm.spki(AK)))]
    options = [part for path in anchors for part in ("--trust-anchor", path)]
    found = party.verify(snp.sign(snp.blank()), *options, **CHAIN)
    assert found.exit == 0
    assert "TRUST ANCHOR" not in found.err
    assert {one["source"] for one in found.value["unused"]} == {*anchors}


@pytest.mark.parametrize("field", OPEN)
def test_the_library_takes_no_bare_key(field: str) -> None:
    given = Given(keys=(arm.spki("platform"), tpm.spki(AK)))
    wrong: Any = {field: given.keys}
    with pytest.raises(UsageError, match="TrustAnchor"):
        Roots(**wrong)
    evidence = token() if field == "cca" else quote()
    anchors: Any = {field: tuple(map(TrustAnchor, given.keys))}
    beside = (*given.keys, *given.endorsements)
    good = Control(partial(examine, field), evidence=evidence, endorsements=beside, roots=Roots(**anchors), now=0)
    found = good.but(roots=Roots())
    assert found.checks[0 if field == "cca" else 1].outcome == "not checked"
    assert len(found.unused) == len(given.keys)
