"""Where the Keep of a job is, and how it is removed: `jobs.Place` for this machine and for a host's daemon."""

from __future__ import annotations

import os

from enarx.api.local_host import LocalHost
from enarx.delivery.tenant import Session
from enarx.errors import UsageError
from enarx.tenant.http import HostClient
from enarx.tenant.link import LocalLink
from enarx.tenant.sessions import Saved, forget


class LocalPlace:
    """A Keep behind a host side of its own on this machine. It ends with this process."""

    keep = session_file = ""

    def __init__(self, host: LocalHost) -> None:
        self._host = host
        self.link = LocalLink(host.path)

    def require_lasting(self) -> None:
        """As jobs.Place: this Keep cannot outlive the process."""
        raise UsageError(
            "detach-local",
            "a job on this machine's own host side ends with this program, and cannot be left",
            hint="deploy it to a daemon: enarx host serve",
        )

    def remove(self) -> None:
        """As jobs.Place: closing the order pipe ends the host side, which takes its Keep down."""
        self.leave()

    def leave(self) -> None:
        """As jobs.Place: the host side ends too."""
        self.link.close()
        self._host.close()


class RemotePlace:
    """A Keep at a daemon, and the session with it, saved before anything secret is sent."""

    def __init__(self, client: HostClient, keep: str, token_file: str, saved: Saved | None = None) -> None:
        self.keep = keep
        self.link = client.link(keep)
        self.saved = saved
        self._client = client
        self._token_file = os.path.abspath(token_file) if token_file else ""

    @property
    def session_file(self) -> str:
        """As jobs.Place: empty before `save`."""
        return "" if self.saved is None else self.saved.path

    def save(self, opened: Session) -> None:
        """Save the session. Of credentials only the paths of their files are kept."""
        where = self._client.endpoint
        ca, certificate, key = (os.path.abspath(p) if p else "" for p in (where.ca, where.certificate, where.key))
        self.saved = Saved(
            keep=self.keep,
            url=where.url,
            token_file=self._token_file,
            ca=ca,
            certificate=certificate,
            key=key,
            session=opened,
        )
        self.saved.save()

    def require_lasting(self) -> None:
        """As jobs.Place: this Keep outlives the process."""

    def remove(self) -> None:
        """As jobs.Place: the daemon kills a running Keep."""
        self._client.call("DELETE", f"/v1/keeps/{self.keep}?force=true")
        if self.saved is not None:
            forget(self.saved)

    def leave(self) -> None:
        """As jobs.Place: closes connections; the Keep goes on."""
        self.link.close()
        self._client.close()
