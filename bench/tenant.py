"""A tenant in this process that deploys to a real daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from enarx.formats.config import Config
from enarx.tenant import owners, package
from enarx.tenant.deploy import ReceivedEvidence, Run, admit
from enarx.tenant.http import Endpoint, HostClient
from enarx.verify import AttestationResult
from tests.e2e.harness import Daemon
from tests.verifier import verifier


@contextmanager
def daemon(directory: Path, *options: str) -> Iterator[Daemon]:
    """Run a daemon and stop it afterwards, with its Keeps."""
    found = Daemon(directory, *options).start()
    try:
        yield found
    finally:
        found.clean()


class Tenant:
    """Deploys packages to one daemon; the measurement is this installation's."""

    def __init__(self, host: Daemon) -> None:
        from enarx.api.acceptance import own_measurement

        self.client = HostClient(Endpoint(url=host.url))
        self.who = owners.load((self._key(host.home),))
        self._root_file = Path(host.root)
        self._measurement = own_measurement()

    @staticmethod
    def _key(home: Path) -> str:
        path = home / "owner.pem"
        if not path.exists():
            owners.create(str(path))
        return str(path)

    def package(self, wasm: Path, config: Config | None = None, base: str = ".") -> package.Package:
        return package.build(
            str(wasm), config or Config(), owners=self.who.public, salt=os.urandom(32), secrets={}, base=base
        )

    def judge(self, built: package.Package) -> Callable[[ReceivedEvidence], AttestationResult]:
        root = bytes.fromhex(self._root_file.read_text().strip())
        return verifier(self._measurement, built.manifest.digest, root)

    def deploy(self, built: package.Package, write: Callable[[int, bytes], None]) -> tuple[str, Run]:
        """Launch a Keep and deliver to it; the caller serves the run."""
        keep = self.launch(built)
        return keep, self.deliver(keep, built, write)

    def launch(self, built: package.Package) -> str:
        """A Keep for this package, from the pool if it fits."""
        memory = built.manifest.config.limits.memory
        return self.client.launch(kind="process", package=None, memory=memory, compile=built.compile, disk=built.disk)

    def deliver(self, keep: str, built: package.Package, write: Callable[[int, bytes], None]) -> Run:
        """Attest a launched Keep and deliver to it; the caller serves the run."""
        link = self.client.link(keep)
        delivered = admit(link, built, self.who, self.judge(built))
        return Run(link=link, session=delivered.session, start=delivered.start, output=delivered.output, write=write)

    def remove(self, keep: str) -> None:
        self.client.call("DELETE", f"/v1/keeps/{keep}?force=true")
