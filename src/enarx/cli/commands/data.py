"""`enarx data`: for further owners of data. Providers look at a Keep and seal data to it; recipients read results."""

from __future__ import annotations

import argparse
import sys

from enarx.cli import console
from enarx.cli.options import Parser, add_invitation, add_json, add_receipt, add_results, add_verifier
from enarx.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api.data import Preview, Visit
    from enarx.cli.attestation import Verdict
    from enarx.tenant.contributing import Provision


def declare(parser: Parser) -> None:
    """Declare the options of `enarx data`, one action after the other."""
    making = parser.action(
        "key", key, "make a recipient's key pair: FILE, and FILE.pub for the coordinator", "enarx data key my.key"
    )
    making.add_argument("file", metavar="FILE", help="where to write the private key")
    showing = parser.action(
        "show",
        show,
        "show what a Keep is for, verified: its code, its limits, who provides and who receives",
        "enarx data show job.invitation --simulated-root root.pub",
    )
    sealing = parser.action(
        "seal",
        seal,
        "seal your part to a Keep, once its evidence is accepted",
        "enarx data seal job.invitation --key north.pem --dir ./ward::/north --simulated-root root.pub",
        "enarx data seal job.invitation --key north.pem --dir ./ward::/north --package 00ff... --policy snp.toml",
    )
    opening = parser.action(
        "open",
        open_,
        "read the results of a run as its recipient: stdout, stderr, output directories and how it ended",
        "enarx data open job.invitation --key my.key --simulated-root root.pub",
        "enarx data open job.invitation --key my.key --out results::/out --simulated-root root.pub",
    )
    for each in (showing, sealing, opening):
        add_invitation(each)
        add_verifier(each)
    sealing.add_argument("--key", metavar="FILE", default="", help="your private owner key, PEM (default: your own)")
    sealing.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="HOST::GUEST",
        help="a directory of yours, and its path in the Keep",
    )
    sealing.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=@FILE",
        help="a secret of yours: NAME=@FILE, NAME=env:VARIABLE, or NAME alone to be prompted",
    )
    sealing.add_argument("--yes", action="store_true", help="do not ask before sealing")
    for each in (making, showing, sealing):
        add_json(each)
    _declare_opening(opening)


def _declare_opening(opening: Parser) -> None:
    opening.add_argument("--key", metavar="FILE", required=True, help="your private recipient key")
    opening.add_argument("--so-far", action="store_true", help="show the output so far, and do not wait for the end")
    add_results(opening)
    add_receipt(opening)
    add_json(opening, "end with one line of JSON on stderr")


def key(options: argparse.Namespace) -> int:
    """Make a key pair, and print the SHA-256 of the public key, which `enarx data show` prints too; 0."""
    from enarx.cli.parties import fingerprint
    from enarx.tenant import recipients

    public = recipients.create(options.file)
    console.say(f"wrote {options.file} (keep it secret) and {options.file}{recipients.SUFFIX} (for the coordinator)")
    if options.json:
        console.show_json(
            {"private": options.file, "public": options.file + recipients.SUFFIX, "sha256": fingerprint(public)}
        )
    else:
        print(fingerprint(public))
    return 0


def show(options: argparse.Namespace) -> int:
    """Show the whole public manifest; every line of it is proven by the evidence. 0."""
    from enarx.cli import parties

    visit, verdict = _visit(options)
    preview = visit.preview()
    if options.json:
        console.show_json({**parties.as_json(preview), "attestation": verdict.summary})
        return 0
    for line in parties.lines(preview):
        console.show(line)
    return 0


def seal(options: argparse.Namespace) -> int:
    """Verify, show what the data is for, ask, seal, and wait for the Keep's signed confirmation; 0.

    Nothing is sealed without consent to the manifest: an answer on the terminal, --yes, or --package, which names the digest
    that was agreed to. A program has no terminal, and must give one of the two.
    """
    from enarx.api.data import private_seed
    from enarx.cli import workload
    from enarx.formats.arguments import parse_dir
    from enarx.tenant import owners

    seed = private_seed(options.key or owners.default_path())
    dirs = {}
    for text in options.dir:
        directory = parse_dir(text)
        if directory.guest in dirs or directory.mode != "ro":
            message = f"--dir {text}: " + ("given twice" if directory.guest in dirs else "the manifest sets the mode")
            raise UsageError("dir", message, hint="--dir HOST::GUEST, once for each of your directories")
        dirs[directory.guest] = str(directory.host)
    secrets = workload.read_secrets(options.secret)
    visit, verdict = _visit(options)
    if not options.yes and not options.package and not sys.stdin.isatty():
        hint = "--package DIGEST, which names what you agreed to, or --yes"
        raise UsageError("not-agreed", "no terminal to ask on, and nothing says that you agree", hint=hint)
    result = visit.contribute(
        seed, dirs, secrets, lambda preview, name, provision: _agreed(preview, name, provision, options)
    )
    if result.earlier:
        console.note("the Keep has this part from an earlier call; nothing was sent now")
    console.say(f"the Keep has confirmed the part of {result.provider}", colour="32;1")
    if options.json:
        value = {"provider": result.provider, "digest": result.digest.hex(), "earlier": result.earlier}
        package = result.preview.package.hex()
        console.show_json(
            {**value, "package": package, "missing": result.preview.missing, "attestation": verdict.summary}
        )
    else:
        print(result.digest.hex())
    return 0


def open_(options: argparse.Namespace) -> int:
    """Verify the Keep, open the output, and pass it on; returns the workload's exit code.

    With --so-far 0 for a run that goes on, or 127 if the host dropped output.
    """
    from enarx.api.streams import writer
    from enarx.cli import session, workload
    from enarx.delivery.session import STDERR, STDOUT
    from enarx.tenant import recipients

    pair, out = recipients.load(options.key), workload.out(options)
    session.require_receipt(options)
    visit, verdict = _visit(options)
    sinks = {STDOUT: writer(session.STDOUT), STDERR: writer(session.STDERR)}

    begun = False

    def write(kind: int, data: bytes) -> None:
        nonlocal begun
        begun, sink = True, sinks[kind]
        if sink is not None:
            sink(data)

    notice = (
        None if options.so_far or options.json else console.Notice("waiting for the end of the run...", lambda: begun)
    )
    try:
        result, lost = visit.receive(pair, write, wait=not options.so_far, out=out)
    finally:
        if notice is not None:
            notice.end()
    if result is None:
        console.note("the run goes on" + ("; there is no receipt yet" if options.receipt else ""))
        return console.EXIT_UNDECIDED if lost else 0
    session.write_receipt(options.receipt, result)
    for directory in result.directories:
        if not directory.path:
            holds = f"{directory.files} files, {directory.bytes} bytes"
            console.note(f"{directory.guest} was not written ({holds}): add --out DIR::{directory.guest}")
    return session.conclude(result, options, attestation=verdict.summary)


def _visit(options: argparse.Namespace) -> tuple[Visit, Verdict]:
    """The exchange that the options describe, not begun yet. UsageError; VerificationError for another package."""
    from enarx.api.data import Visit, require_package
    from enarx.api.start import Hooks
    from enarx.cli import attestation
    from enarx.tenant.connection import Endpoint
    from enarx.tenant.invitations import Invitation

    invitation = Invitation.load(options.invitation)
    if options.package:
        require_package(invitation, options.package)
    accepted, verdict = attestation.acceptable(options)
    hooks = Hooks(progress=console.Progress("sealing"), attested=verdict, note=console.note)
    given = Endpoint(url=options.host, ca=options.ca, certificate=options.client_cert, key=options.client_key)
    return Visit(invitation, accepted, hooks, given), verdict


def _agreed(preview: Preview, name: str, provision: Provision, options: argparse.Namespace) -> bool:
    """Show what the data is for and what will be sent, and ask unless the options agree to it."""
    from enarx.cli import parties

    for line in parties.lines(preview):
        console.say(line)
    console.say(f"your part    as {name}: {console.counted(provision.files, 'file')}, {provision.size} bytes sealed")
    if options.yes or options.package:
        return True
    console.say("seal your data to this Keep? its code will read it, and the results go to those named above")
    return input("type yes: ") == "yes"
