"""The parties of Enarx.toml beside the owner: providers of data and secrets, and recipients of the results.

Only the tenant's side reads them here. A Keep reads parties from the manifest, where a key is bytes
(`enarx.formats.sharing`); here a key is still what the author wrote, the path of a file or hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from enarx.errors import UsageError
from enarx.formats.checks import Invalid, Path, text_of, unique
from enarx.formats.config import Config
from enarx.formats.sharing import MAX_NAME, MAX_PARTIES
from enarx.formats.tables import each_of, known_keys, needs
from enarx.record import names, record, replace

KEYS = ("providers", "recipients")


@record()
class Provider:
    """A party that brings directories and secrets of its own, sealed to the Keep under its own policy.

    `key` is an Ed25519 public key: the path of its file, or 64 hexadecimal digits. `dirs` are guest paths and `secrets` are
    names, both from the same configuration.
    """

    name: str
    key: str
    dirs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@record()
class Recipient:
    """A party that reads the results. `key` is an HPKE public key: the path of its file, or 2432 hexadecimal digits."""

    name: str
    key: str


def with_parties(config: Config, value: dict[str, Any]) -> Config:
    """The configuration with the providers and recipients of a TOML value, checked against the rest of it; Invalid."""
    providers = each_of(value, (), "providers", _provider)
    recipients = each_of(value, (), "recipients", _recipient)
    config = replace(config, providers=providers, recipients=recipients)
    _check(config)
    return config


def check(config: Config) -> None:
    """UsageError unless the parties of a configuration made by a program follow the rules of a file."""
    try:
        for key, read in (("providers", _provider), ("recipients", _recipient)):
            for i, party in enumerate(getattr(config, key)):
                fields = {name: getattr(party, name) for name in names(party)}
                read({k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}, (key, i))
        _check(config)
    except Invalid as e:
        raise UsageError(e.code, e.message, hint=e.hint) from None


def provided(config: Config) -> dict[str, str]:
    """The provider's name for each guest path and each secret that a provider brings: `dir PATH` and `secret NAME`."""
    return {what: provider.name for provider in config.providers for what in _items(provider)}


def _items(provider: Provider) -> tuple[str, ...]:
    return (*(f"dir {guest}" for guest in provider.dirs), *(f"secret {name}" for name in provider.secrets))


def _provider(value: Any, path: Path) -> Provider:
    known_keys(value, path, names(Provider))
    needs(value, path, "a provider", "name", "key")
    dirs, secrets = (_texts(value, path, key) for key in ("dirs", "secrets"))
    if not dirs and not secrets:
        raise Invalid(path, "a provider without dirs and secrets", hint='dirs = ["/data"], or secrets = ["NAME"]')
    return Provider(name=_name(value, path), key=_key(value, path), dirs=dirs, secrets=secrets)


def _recipient(value: Any, path: Path) -> Recipient:
    known_keys(value, path, names(Recipient))
    needs(value, path, "a recipient", "name", "key")
    return Recipient(name=_name(value, path), key=_key(value, path))


def _texts(value: dict[str, Any], path: Path, key: str) -> tuple[str, ...]:
    return each_of(value, path, key, text_of)


def _name(value: dict[str, Any], path: Path) -> str:
    text = text_of(value["name"], (*path, "name"), empty=False)
    if len(text) > MAX_NAME or not text.isprintable():
        raise Invalid((*path, "name"), f"name is {text[:MAX_NAME]!r}, wanted at most {MAX_NAME} printable characters")
    return text


def _key(value: dict[str, Any], path: Path) -> str:
    return text_of(value["key"], (*path, "key"), empty=False)


def _check(config: Config) -> None:
    """Require few parties with distinct names, and exactly one source for each directory and secret; Invalid."""
    for key in KEYS:
        parties: tuple[Provider | Recipient, ...] = getattr(config, key)
        if len(parties) > MAX_PARTIES:
            raise Invalid((key, MAX_PARTIES), f"{len(parties)} {key}, wanted at most {MAX_PARTIES}")
        unique([party.name for party in parties], key, "name")
    sources: dict[str, str] = {}
    for i, provider in enumerate(config.providers):
        _known(provider.dirs, [d.guest for d in config.dirs], ("providers", i, "dirs"), "[[dirs]]")
        _known(provider.secrets, [s.name for s in config.secrets], ("providers", i, "secrets"), "[secrets]")
        for what in _items(provider):
            if what in sources:
                key, _, name = what.partition(" ")
                message = f"{name} is provided twice, by {sources[what]} and by {provider.name}"
                raise Invalid(("providers", i, f"{key}s"), message, code="config-duplicate")
            sources[what] = provider.name
    for i, directory in enumerate(config.dirs):
        source = sources.get(f"dir {directory.guest}", "")
        if source and directory.host is not None:
            message = f"{directory.guest} has a host, and provider {source} brings it"
            raise Invalid(("dirs", i, "host"), message, hint="remove host: the provider names its own directory")
        if not source and directory.host is None and directory.mode == "ro":
            hint = 'give host, or mode = "rw", or name a provider who brings it'
            raise Invalid(("dirs", i), "an empty read-only directory", hint=hint)


def _known(given: tuple[str, ...], known: Iterable[str], path: Path, where: str) -> None:
    known = list(known)
    for j, name in enumerate(given):
        if name not in known:
            raise Invalid((*path, j), f"{name!r} is not in {where}", near=(name, known) if known else None)
