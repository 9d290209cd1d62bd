"""The invitation that a deployment makes for the providers and recipients of its package."""

from __future__ import annotations

import os

from enarx.api.jobs import Job
from enarx.tenant.connection import Endpoint
from enarx.tenant.invitations import Invitation, authorities_in, digest_of, require_writable

SECRET_SIZE = 32


class Inviting:
    """A fresh secret, whose digest goes to the host with the launch, until the session is known that it invites to.

    `path` is where to write the invitation; empty to keep it in memory. UsageError if it cannot be written there.
    """

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        if path:
            require_writable(path)
        self._path, self._endpoint = path, endpoint
        self._secret = os.urandom(SECRET_SIZE).hex()
        self._authorities = endpoint.authorities or authorities_in(endpoint.ca)

    @property
    def digest(self) -> str:
        """What the host stores of the secret."""
        return digest_of(self._secret)

    def write(self, job: Job) -> Invitation:
        """The invitation to this job's session, saved if there is a path. UsageError."""
        invitation = Invitation(
            url=self._endpoint.url,
            keep=job.keep,
            secret=self._secret,
            package=job.package,
            session=job.session.transcript,
            authorities=self._authorities,
        )
        if self._path:
            invitation.save(self._path)
        return invitation
