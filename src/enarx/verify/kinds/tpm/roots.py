"""Who vouches for a TPM's attestation key: the caller, who knows the key, or a maker whose root certifies it."""

from __future__ import annotations

from enarx.verify.roots import KEY, PIN, RootSet

ATTESTATION_KEYS = RootSet(name="tpm", form=KEY, user=True)
MAKERS = RootSet(
    name="tpm_makers",
    form=PIN,
    public=(
        # Microsoft: Azure Virtual TPM Root Certificate Authority 2023, RSA Devices Root CA 2021
        bytes.fromhex("e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95"),
        bytes.fromhex("8c2bb9144d4970c94fb8105cc5d860a58e2e675eb360fdd8c14b30833aaaec1d"),
    ),
    user=True,
)
