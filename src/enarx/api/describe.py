"""The arguments of `enarx.run`, `deploy` and `attach`: each returns a `Start`, which has done nothing yet."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict, Unpack, cast

from enarx.api.acceptance import accepting
from enarx.api.hosts import find
from enarx.api.local import LocalStart
from enarx.api.remote import AttachStart, RemoteStart
from enarx.api.start import Hooks, Start
from enarx.api.streams import Sink
from enarx.api.workloads import FIXED, Dirs, Out, Path, Workload, out_of, workload
from enarx.errors import UsageError
from enarx.formats.config import Config
from enarx.tenant.deploy import Stdin
from enarx.tenant.http import Endpoint
from enarx.verify import AppraisalPolicy


class Options(TypedDict, total=False):
    """The arguments that `run` and `deploy` share.

    config   a Config, or the path of an Enarx.toml; None: the one beside the module, if any
    args     arguments after the workload's own name, in place of the configuration's
    env      variables, added to the configuration's
    dirs     {guest path: directory of this machine}, read-only; or Dir(guest=, host=, mode="rw"), several
    secrets  {name: value} for exactly the names under [secrets]
    owners   key files, PEM: one private, the others public; none: the user's own key
    salt     32 bytes, kept to get the same package digest again
    argv0    the workload's name for itself; None is the module's file name
    times    "fixed": all files have one time; "keep": they keep their modification times
    out      {guest path: directory of this machine}: where the content of output directories goes; adds missing ones
    replace  replace directories of `out` that are not empty, as a whole
    stdin    bytes, a binary file, a descriptor, or an iterable of bytes; None: empty
    stdout   a binary file or descriptor for the output as it arrives; None: read Job.stdout
    stderr   a binary file or descriptor for the output as it arrives; None: read Job.stderr
    hooks    callbacks while the job starts and runs
    """

    config: Config | Path | None
    args: Sequence[str] | None
    env: Mapping[str, str] | None
    dirs: Dirs
    secrets: Mapping[str, bytes] | None
    owners: Sequence[Path]
    salt: bytes | None
    argv0: str | None
    times: str
    out: Mapping[str, Path] | None
    replace: bool
    stdin: bytes | Stdin
    stdout: Sink
    stderr: Sink
    hooks: Hooks | None


def run(
    module: Path | bytes,
    *,
    simulate: bool = False,
    backend: str = "auto",
    skip_layers: Sequence[str] = (),
    **options: Unpack[Options],
) -> Start:
    """Run a workload in a Keep on this machine; Linux only. Returns a Job.

    module       path of a core WebAssembly module with WASI preview 1, or its bytes
    simulate     use the backend without hardware: NOT protected from the owner of this machine
    backend      the kind of Keep; "auto" takes one that hardware protects
    skip_layers  layers of the sandbox that may be missing

    Also: config, args, env, dirs, secrets, owners, salt, argv0, times, out, replace, stdin, stdout, stderr, hooks
    (enarx.api.describe.Options).

    UsageError, BackendError; AppraisalError or VerificationError if the Keep is not acceptable; DeliveryError;
    UnavailableError. After an error no Keep is left behind.
    """
    return LocalStart(
        _workload(module, options),
        *_hooks_and_streams(options),
        out=_out(options),
        backend=backend,
        simulate=simulate,
        skip_layers=skip_layers,
    )


def deploy(
    module: Path | bytes,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    simulated_root: bytes | Path | None = None,
    measurements: Sequence[bytes | str] = (),
    policy: AppraisalPolicy | Path | None = None,
    endorsements: Sequence[bytes] = (),
    backend: str = "auto",
    pool: bool = True,
    detach: bool = False,
    **options: Unpack[Options],
) -> Start:
    """Deliver a workload to a Keep on a host that need not be trusted, attested and encrypted. Returns a Job.

    host            the daemon: http://, https:// or unix:// URL, or an Endpoint; "": ENARX_HOST, or this machine's
    token_file      file with the bearer token for `host`
    simulated_root  accept simulated evidence under this root: the path of the host's root.pub, or its 32 bytes
    measurements    with it: Keep images to accept, 48 bytes or 96 hexadecimal digits each; none: this release's
    policy          accept what this appraisal policy accepts: the policy, or the path of its file
    endorsements    with it: certificates, revocation lists and collateral, as bytes
    backend         the kind of Keep; "auto" leaves it to the host
    pool            take a ready Keep from the host's pool, launched for no package yet
    detach          leave the job once the Keep has accepted it and its stdin; see `attach`

    The other arguments are those of `run`. The session is saved where `enarx keep` finds it, until the job is removed.
    """
    return RemoteStart(
        _workload(module, options),
        *_hooks_and_streams(options),
        out=_out(options),
        host=find(host, os.fspath(token_file)),
        backend=backend,
        accepted=accepting(simulated_root, measurements, policy, endorsements),
        pool=pool,
        detach=detach,
    )


def attach(
    keep: str,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    out: Mapping[str, Path] | None = None,
    replace: bool = False,
    times: str = FIXED,
    stdin: bytes | Stdin = None,
    stdout: Sink = None,
    stderr: Sink = None,
    hooks: Hooks | None = None,
) -> Start:
    """Attach to a job by its Keep's id, or a prefix of it that is unique. Returns a Job, with all output from the start.

    host        the daemon, if several have such a Keep; otherwise the saved session names it
    token_file  file with the bearer token for `host`
    out         as for `run`, for output directories of the job; others are verified, and not written
    replace     as for `run`
    times       "keep": files get the times that they had in the Keep
    stdin       continues after the bytes that the workload has taken, and its end closes the workload's stdin;
                None: stdin stays as it is
    stdout, stderr, hooks: as for `run`

    UsageError if there is no such Keep, or no session with it.
    """
    return AttachStart(
        keep,
        hooks or Hooks(),
        _as_stdin(stdin),
        _as_sink(stdout, "stdout"),
        _as_sink(stderr, "stderr"),
        out=out_of(out, replace=replace, times=times),
        host=host,
        token_file=os.fspath(token_file),
    )


def _workload(module: Path | bytes, options: Options) -> Workload:
    return workload(
        module,
        config=options.get("config"),
        args=options.get("args"),
        env=options.get("env"),
        dirs=options.get("dirs", ()),
        secrets=options.get("secrets"),
        owners=options.get("owners", ()),
        salt=options.get("salt"),
        argv0=options.get("argv0"),
        times=options.get("times", FIXED),
        out=options.get("out") or (),
    )


def _out(options: Options) -> Out:
    return out_of(options.get("out"), replace=options.get("replace", False), times=options.get("times", FIXED))


def _hooks_and_streams(options: Options) -> tuple[Hooks, Stdin, Sink, Sink]:
    """Hooks, stdin, stdout and stderr. UsageError for an option that does not exist."""
    if unknown := options.keys() - Options.__annotations__.keys():
        raise UsageError("option", f"no option is called {', '.join(sorted(unknown))}")
    return (
        options.get("hooks") or Hooks(),
        _as_stdin(options.get("stdin")),
        _as_sink(options.get("stdout"), "stdout"),
        _as_sink(options.get("stderr"), "stderr"),
    )


def _as_stdin(stdin: object) -> Stdin:
    """Where stdin comes from. UsageError, before anything runs, for what cannot be read as bytes."""
    if isinstance(stdin, (bytes, bytearray, memoryview)):
        return (bytes(stdin),)
    texts = isinstance(stdin, (str, io.TextIOBase))
    usable = stdin is None or isinstance(stdin, (int, Iterable)) or hasattr(stdin, "read")
    if texts or isinstance(stdin, bool) or not usable:
        message = f"stdin is {_kind(stdin)}, wanted bytes, a binary file, a descriptor or an iterable of bytes"
        raise UsageError("stdin", message, hint="text.encode(), or open(path, 'rb')" if texts else "")
    return cast("Stdin", stdin)


def _as_sink(sink: object, name: str) -> Sink:
    """Where output goes. UsageError, before anything runs, for what takes no bytes."""
    texts = isinstance(sink, (str, os.PathLike, io.TextIOBase))
    usable = sink is None or isinstance(sink, int) or hasattr(sink, "write")
    if texts or isinstance(sink, bool) or not usable:
        message = f"{name} is {_kind(sink)}, wanted a binary file or a descriptor"
        raise UsageError(name, message, hint="open(path, 'wb')" if texts else "")
    return cast("Sink", sink)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
