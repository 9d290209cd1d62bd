"""A verdict from end to end, on forged evidence of a kind whose roots are the caller's to give: as a table, as JSON, as EAR."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt

from enarx.cli.main import main
from enarx.verify.ear import MAX_LIFETIME
from tests.controls import command
from tests.forge import arm, tpm
from tests.verify import ear_form

Captured = pytest.CaptureFixture[str]
REALM = arm.realm()
FRESH, MEASURED = REALM[10].hex(), REALM[44238].hex()


@pytest.fixture
def realm(tmp_path: Path) -> list[str]:
    """The command that finds a realm to be trusted."""
    (tmp_path / "token.cbor").write_bytes(arm.token())
    (tmp_path / "key.der").write_bytes(arm.spki("platform"))
    assert main(["policy", "init", "--kind", "cca", "--measurement", MEASURED, str(tmp_path / "cca.toml")]) == 0
    verify = ["evidence", "verify", str(tmp_path / "token.cbor"), "--trust-anchor", str(tmp_path / "key.der")]
    return [*verify, "--policy", str(tmp_path / "cca.toml"), "--report-data", FRESH]


def private(key: Any) -> bytes:
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


@pytest.mark.kinds("cca")
def test_trusted(realm: list[str], capsys: Captured) -> None:
    assert main(realm) == 0
    out, err = capsys.readouterr()
    assert "attestation: trusted (cca)" in err
    assert "expires: no input of this verdict expires" in err
    assert "TRUST ANCHOR: 1 public keys from your files are trusted" in err
    assert "passed" in out
    assert "docs/attestation/cca.md, 1" in out


@pytest.mark.kinds("cca")
def test_refused_says_what_and_why(realm: list[str], capsys: Captured) -> None:
    ran = command(capsys, verify=realm[:-1], fresh=realm[-1:]).but(fresh=["00" * 64])
    assert ran.code == 126
    assert "failed: report-data" in ran.err


@pytest.mark.kinds("cca")
def test_json(realm: list[str], capsys: Captured) -> None:
    assert main([*realm, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["status"], value["kind"], value["advisories"]) == ("trusted", "cca", [])
    assert {"id", "outcome", "code", "wanted", "got", "anchor", "where", "hint"} == set(value["checks"][0])


@pytest.mark.kinds("cca")
def test_bytes_that_are_no_token_are_refused(realm: list[str], capsys: Captured) -> None:
    Path(realm[2]).write_bytes(b"\xd9\x01\x8f\xa0")
    assert main([*realm, "--json"]) == 126
    value = json.loads(capsys.readouterr().out)
    assert (value["status"], value["checks"][0]["id"]) == ("not authentic", "format")


@pytest.mark.kinds("cca")
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=["p256", "p384", "ed25519"],
)
def test_ear(realm: list[str], tmp_path: Path, capsys: Captured, key: Any, algorithm: str) -> None:
    (tmp_path / "signer.pem").write_bytes(private(key))
    assert main([*realm, "--at", "2026-01-31T12:00:00Z", "--ear", str(tmp_path / "signer.pem")]) == 0
    made = jwk.ECKey if algorithm.startswith("ES") else jwk.OKPKey
    token = jwt.decode(
        capsys.readouterr().out.strip(), made.import_key((tmp_path / "signer.pem").read_bytes()), algorithms=[algorithm]
    )
    assert ear_form.wrong(token.claims) == []
    assert token.header == {"alg": algorithm, "typ": "eat+jwt"}
    assert token.claims["iat"] == 1_769_860_800
    assert token.claims["exp"] == 1_769_860_800 + MAX_LIFETIME
    appraisal = token.claims["submods"]["cca"]
    assert appraisal["ear_status"] == "warning"
    assert appraisal["ear_trustworthiness_vector"] == {"hardware": -33, "executables": 33, "runtime-opaque": 2}
    assert token.claims["ear_verifier_id"]["developer"] == "enarx"


@pytest.mark.kinds("cca")
def test_an_ear_affirms_where_nothing_that_decides_is_left_open(
    realm: list[str], tmp_path: Path, capsys: Captured
) -> None:
    """The policy to begin with leaves the realm's registers and the platform's firmware unchecked."""
    assert main([*realm, "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)["claims"]
    policy = tmp_path / "cca.toml"
    for field in ("rem0", "rem1", "rem2", "rem3", "software_components"):
        policy.write_text(re.sub(rf"(?m)^{field} = .*$", f"{field} = {json.dumps(claims[field])}", policy.read_text()))
    (tmp_path / "signer.pem").write_bytes(private(ec.generate_private_key(ec.SECP256R1())))
    assert main([*realm, "--ear", str(tmp_path / "signer.pem")]) == 0
    payload = capsys.readouterr().out.strip().split(".")[1]
    appraisal = json.loads(base64.urlsafe_b64decode(payload + "=="))["submods"]["cca"]
    assert appraisal["ear_status"] == "affirming"


@pytest.mark.kinds("cca")
@pytest.mark.parametrize("data", [b"nothing", private(rsa.generate_private_key(65537, 2048))], ids=["none", "rsa"])
def test_a_key_that_signs_no_result(realm: list[str], tmp_path: Path, capsys: Captured, data: bytes) -> None:
    (tmp_path / "signer.pem").write_bytes(data)
    assert main([*realm, "--ear", str(tmp_path / "signer.pem")]) == 125
    assert "wanted a private key" in capsys.readouterr().err


@pytest.mark.kinds("cca")
def test_keys_among_endorsements_are_nobody_to_believe(realm: list[str], tmp_path: Path, capsys: Captured) -> None:
    """Otherwise an attacker could deliver the trust anchor with the evidence."""
    verify = [part if part != "--trust-anchor" else "--endorsements" for part in realm]
    at = verify.index("--endorsements") + 1
    good = command(capsys, verify=verify[: at - 1], given=realm[at - 1 : at + 1], policy=verify[at + 1 :])
    for given in (str(tmp_path), verify[at]):
        ran = good.but(given=["--endorsements", given])
        assert ran.code == 127
        assert "TRUST ANCHOR" not in ran.err
        assert f"unused: {tmp_path / 'key.der'}: a public key" in ran.err


@pytest.mark.kinds("tpm")
def test_a_root_of_tpms_by_hand(tmp_path: Path, capsys: Captured) -> None:
    ak, issuer, root = tpm.maker()
    (tmp_path / "quote.pb").write_bytes(tpm.attestation(certificates=(ak, issuer)))
    (tmp_path / "root.der").write_bytes(root)
    verify = [
        "evidence",
        "verify",
        str(tmp_path / "quote.pb"),
        "--authenticity-only",
        "--json",
        "--at",
        "2026-05-28T20:26:40Z",
    ]
    for anchor, certified in (([], None), (["--trust-anchor", str(tmp_path / "root.der")], True)):
        assert main([*verify, *anchor]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["claims"]["ak_certified"] is certified
        assert ("1 root certificates from your files are trusted" in err) is bool(anchor)
    assert main([*verify, "--endorsements", str(tmp_path / "root.der")]) == 0
    assert json.loads(capsys.readouterr().out)["claims"]["ak_certified"] is None


@pytest.mark.kinds("cca")
def test_authenticity_leaves_no_report_data_aside(realm: list[str], capsys: Captured) -> None:
    at = realm.index("--policy")
    assert main([*realm[:at], "--authenticity-only", "--report-data", "00" * 64]) == 125
    assert "it takes no report data" in capsys.readouterr().err


@pytest.mark.kinds("cca")
@pytest.mark.no_verdict(reason="what evidence says is shown, believed or not")
def test_show(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "token.cbor").write_bytes(arm.token())
    assert main(["evidence", "show", str(tmp_path / "token.cbor")]) == 0
    out = capsys.readouterr().out
    assert "not verified" in out
    assert "The realm's challenge." in out
    assert main(["evidence", "show", str(tmp_path / "token.cbor"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "cca"


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.kinds(kind)) for kind in ("tdx", "az-snp-vtpm", "az-tdx-vtpm")]
)
def test_a_policy_says_what_the_measurement_leaves_out(kind: str, capsys: Captured) -> None:
    assert main(["policy", "init", "--kind", kind, "--measurement", "11" * 48]) == 0
    assert "THE MEASUREMENT DOES NOT COVER THE GUEST" in capsys.readouterr().err


@pytest.mark.kinds("snp")
@pytest.mark.parametrize("measurement", ["", "00", "zz"])
def test_a_measurement_of_no_size(measurement: str, capsys: Captured) -> None:
    assert main(["policy", "init", "--kind", "snp", "--measurement", measurement]) == 125
    assert "wanted 32 or 48 or 64 bytes" in capsys.readouterr().err
