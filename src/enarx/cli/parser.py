"""Every command, option and example, as argparse sees them. Nothing here imports a zone."""

from __future__ import annotations

import argparse

from enarx.cli.host_options import add_host
from enarx.cli.options import Parser, Sub
from enarx.cli.options import command as _command
from enarx.cli.options import endpoint as _endpoint
from enarx.cli.options import judge as _judge
from enarx.cli.options import receipt as _receipt
from enarx.cli.options import unsafe as _unsafe


def build_parser(only: str = "") -> argparse.ArgumentParser:
    """The parser of all commands, or of one alone, where its name is one: the others take time to make."""
    parser = Parser(
        prog="enarx",
        description="Run WebAssembly workloads in Keeps: on machines that you do not trust.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  enarx run --simulate hello.wasm\n"
        "  enarx deploy --host https://host.example:8443 --token-file token report.wasm\n"
        "  enarx keep attach KEEP\n",
    )
    parser.add_argument("--version", action="version", version=f"enarx {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    adders = {
        "run": _run,
        "deploy": _deploy,
        "keep": _keep,
        "host": add_host,
        "platform": _platform,
        "init": _init,
        "package": _package,
        "owner": _owner,
        "evidence": _evidence,
        "endorsements": _endorsements,
        "policy": _policy,
        "result": _result,
        "image": _image,
        "reset": _reset,
        "completion": _completion,
    }
    for add in [adders[only]] if only in adders else adders.values():
        add(commands)
    return parser


def _version() -> str:
    from enarx import VERSION

    return VERSION


def _workload(parser: Parser) -> None:
    """What says what runs: the same for run, deploy and package."""
    parser.add_argument("wasm", metavar="WORKLOAD.wasm", help="a core module with WASI preview 1")
    parser.usage = f"{parser.prog} [OPTIONS] WORKLOAD.wasm [-- ARGS ...]"
    parser.add_argument("--config", metavar="FILE", help="Enarx.toml (default: the one beside the workload, if any)")
    parser.add_argument("--env", action="append", default=[], metavar="K=V", help="set a variable (over the file's)")
    parser.add_argument(
        "--dir", action="append", default=[], metavar="HOST::GUEST[:rw]", help="add a directory that travels along"
    )
    parser.add_argument(
        "--owner", action="append", default=[], metavar="FILE", help="owner key, PEM: one private, others public"
    )
    parser.add_argument("--salt", metavar="FILE", help="keep the package's salt here, for the same digest again")


def _secrets(parser: Parser) -> None:
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=@FILE",
        help="a secret's value: NAME=@FILE, NAME=env:VARIABLE, or NAME alone to be asked",
    )
    parser.add_argument("--explain", action="store_true", help="show every check of the attestation")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stderr")
    _receipt(parser)


def _run(commands: Sub) -> None:
    parser = _command(
        commands,
        "run",
        "run:run",
        "run a workload in a Keep on this machine",
        "enarx run --simulate hello.wasm",
        "enarx run --simulate --dir ./data::/data report.wasm -- --year 2026",
        "enarx run --simulate --secret signing-key=@key.bin payroll.wasm",
    )
    _workload(parser)
    _secrets(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--backend", default="auto", metavar="KIND", help="the kind of Keep (default: auto, hardware only)"
    )
    which.add_argument("--simulate", action="store_true", help="no hardware: NOT protected from this machine's owner")
    _unsafe(parser)


def _deploy(commands: Sub) -> None:
    parser = _command(
        commands,
        "deploy",
        "deploy:deploy",
        "deliver a workload to a Keep on a host, attested and encrypted",
        "enarx deploy --simulated-root root.pub hello.wasm",
        "enarx deploy --host https://host.example:8443 --token-file token --simulated-root root.pub --detach job.wasm",
    )
    _workload(parser)
    _secrets(parser)
    _endpoint(parser)
    parser.add_argument(
        "--backend", default="auto", metavar="KIND", help="the kind of Keep (default: auto, hardware only)"
    )
    parser.add_argument(
        "--simulated-root",
        metavar="FILE",
        help="accept simulated evidence under this root: NOT protected from the host's owner",
    )
    parser.add_argument(
        "--measurement",
        action="append",
        default=[],
        metavar="HEX",
        help="accept this Keep image (default: this release's)",
    )
    parser.add_argument("--detach", action="store_true", help="leave once delivered; attach later for the result")
    parser.add_argument("--no-pool", action="store_true", help="a Keep launched for this package alone")


def _keep(commands: Sub) -> None:
    keep = commands.add_parser("keep", help="list, inspect, attach to, stop and remove Keeps")
    actions = keep.add_subparsers(dest="action", metavar="ACTION", required=True)
    texts = {
        "list": "list the Keeps of a host",
        "inspect": "show what the host says of a Keep",
        "logs": "show a Keep's output so far, verified",
        "attest": "have the Keep of a running job prove itself again, with fresh evidence",
        "attach": "take up a session: stdin, stdout, stderr and status (Ctrl-C detaches)",
        "stop": "stop a workload (by its owner, else by the host)",
        "rm": "remove an ended Keep and its output",
        "prune": "remove all ended Keeps",
    }
    more = {"attest": " --simulated-root root.pub"}
    for name, text in texts.items():
        argument = "" if name in ("list", "prune") else " KEEP"
        parser = _command(actions, name, f"keep:{name}", text, f"enarx keep {name}{argument}{more.get(name, '')}")
        if argument:
            parser.add_argument("keep", metavar="KEEP", help="its id, or a beginning of it that is unique")
        if name in ("attach", "logs"):
            _receipt(parser)
        if name == "attest":
            _judge(parser)
        if name == "rm":
            parser.add_argument("--force", action="store_true", help="also when it runs: kills it")
        parser.add_argument("--json", action="store_true", help="JSON on stdout (attach, logs: one line on stderr)")
        _endpoint(parser)


def _platform(commands: Sub) -> None:
    parser = _command(
        commands,
        "platform",
        "platform:show",
        "show what this machine can do, and what is missing",
        "enarx platform --json",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")


def _init(commands: Sub) -> None:
    parser = _command(
        commands, "init", "init:init", "write a commented Enarx.toml", "enarx init", "enarx init examples"
    )
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="where (default: here)")


def _package(commands: Sub) -> None:
    package = commands.add_parser("package", help="what a package is, and its digest")
    actions = package.add_subparsers(dest="action", metavar="ACTION", required=True)
    digest = _command(
        actions,
        "digest",
        "package:digest",
        "print a package's digest",
        "enarx package digest --salt salt.hex hello.wasm",
    )
    _workload(digest)
    show = _command(actions, "show", "package:show", "print a package's manifest", "enarx package show hello.wasm")
    _workload(show)
    for parser in (digest, show):
        parser.add_argument("--json", action="store_true", help="JSON on stdout")


def _owner(commands: Sub) -> None:
    owner = commands.add_parser("owner", help="owner keys: who may give a package its secrets")
    actions = owner.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = _command(actions, "new", "owner:new", "make an owner key", "enarx owner new", "enarx owner new team.pem")
    new.add_argument("file", nargs="?", default="", metavar="FILE", help="default: the user's own")
    show = _command(
        actions, "show", "owner:show", "print an owner's public key", "enarx owner show", "enarx owner show team.pem"
    )
    show.add_argument("file", nargs="?", default="", metavar="FILE", help="default: the user's own")


def _evidence(commands: Sub) -> None:
    evidence = commands.add_parser("evidence", help="show and verify attestation evidence of any kind")
    actions = evidence.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = _command(
        actions, "show", "evidence:show", "show what evidence says, not verified", "enarx evidence show report.bin"
    )
    verify = _command(
        actions,
        "verify",
        "evidence:verify",
        "verify evidence, and appraise it against a policy",
        "enarx evidence verify report.bin --endorsements certs/ --policy snp.toml --report-data 00ff...",
        "enarx evidence verify quote.bin --endorsements collateral.json --authenticity-only --at 2026-04-01T00:00:00Z",
        "enarx evidence verify quote.pb --trust-anchor ak.pem --policy tpm.toml --report-data 00ff... --event-log log.bin",
    )
    for parser in (show, verify):
        parser.add_argument("file", metavar="FILE", help="the evidence, as it came")
        parser.add_argument("--kind", metavar="KIND", default="", help="its kind (default: by how it begins)")
        parser.add_argument("--json", action="store_true", help="JSON on stdout")
    verify.add_argument(
        "--endorsements",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE_OR_DIR",
        help="DER, PEM, AMD certificate tables, JSON collateral",
    )
    verify.add_argument(
        "--trust-anchor",
        action="append",
        default=[],
        metavar="FILE",
        help="a public key to believe (cca, tpm), or a root certificate (tpm); nothing among endorsements is believed",
    )
    verify.add_argument("--policy", metavar="FILE", default="", help="what is acceptable (enarx policy init)")
    verify.add_argument(
        "--report-data", "--nonce", metavar="HEX", default="", help="the fresh data that the evidence must carry"
    )
    verify.add_argument(
        "--at", metavar="TIME", default="now", help="RFC 3339, or `evidence` for the document's own time (default: now)"
    )
    verify.add_argument(
        "--event-log",
        metavar="FILE",
        default="",
        help="the boot event log, which has to replay to the verified registers (kinds tpm, tdx, az-snp-vtpm, az-tdx-vtpm)",
    )
    verify.add_argument("--authenticity-only", action="store_true", help="stop before appraisal: NOTHING IS APPRAISED")
    verify.add_argument("--ear", metavar="KEY", default="", help="print the result as a JWT signed with this key, PEM")


def _endorsements(commands: Sub) -> None:
    found = commands.add_parser("endorsements", help="fetch and keep what vendors say of their machines")
    actions = found.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetch = _command(
        actions,
        "fetch",
        "endorsements:fetch",
        "fetch all that verifying some evidence needs, into one file",
        "enarx endorsements fetch report.bin -o bundle.json",
        "enarx endorsements fetch quote.bin -o bundle.json --pcs-url https://pccs.example.com:8081",
    )
    fetch.add_argument("file", metavar="EVIDENCE", help="the evidence, as it came")
    fetch.add_argument("--kind", metavar="KIND", default="", help="its kind (default: by how it begins)")
    fetch.add_argument("--kds-url", metavar="URL", default="", help="AMD's service, or a cache (or ENARX_KDS_URL)")
    fetch.add_argument("--pcs-url", metavar="URL", default="", help="Intel's service, or a PCCS (or ENARX_PCS_URL)")
    bundle = _command(
        actions,
        "bundle",
        "endorsements:bundle",
        "put endorsements from several files into one",
        "enarx endorsements bundle vcek.der ask.der ark.der crl.der -o bundle.json",
    )
    show = _command(
        actions,
        "show",
        "endorsements:show",
        "show what endorsements are, not verified",
        "enarx endorsements show bundle.json",
    )
    show.add_argument("--json", action="store_true", help="JSON on stdout")
    for parser in (bundle, show):
        parser.add_argument("files", nargs="+", metavar="FILE_OR_DIR", help="DER, PEM, tables, collateral, bundles")
    for parser in (fetch, bundle):
        parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the bundle")


def _policy(commands: Sub) -> None:
    policy = commands.add_parser("policy", help="what a relying party accepts, as a file")
    actions = policy.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = _command(
        actions,
        "init",
        "policy:init",
        "write a commented policy, which refuses everything until it has a measurement",
        "enarx policy init --kind snp --measurement 00ff... snp.toml",
    )
    init.add_argument(
        "--kind", required=True, metavar="KIND", help="snp, sgx, tdx, nitro, cca, tpm, az-snp-vtpm or az-tdx-vtpm"
    )
    init.add_argument("--measurement", action="append", default=[], metavar="HEX", help="what to accept")
    init.add_argument("file", nargs="?", default="", metavar="FILE", help="default: stdout")


def _result(commands: Sub) -> None:
    result = commands.add_parser("result", help="what a receipt proves of a run")
    actions = result.add_subparsers(dest="action", metavar="ACTION", required=True)
    verify = _command(
        actions,
        "verify",
        "result:verify",
        "verify a receipt: who ran what, how it ended, and what it wrote",
        "enarx result verify job.receipt --stdout out.txt --simulated-root root.pub",
        "enarx result verify job.receipt --package 00ff... --policy snp.toml --endorsements certs/",
    )
    verify.add_argument("receipt", metavar="RECEIPT", help="from --receipt of run, deploy, keep attach or keep logs")
    verify.add_argument("--stdout", metavar="FILE", default="", help="what is said to be the workload's stdout")
    verify.add_argument("--stderr", metavar="FILE", default="", help="what is said to be the workload's stderr")
    verify.add_argument("--package", metavar="HEX", default="", help="the package's digest that it has to be")
    verify.add_argument("--at", metavar="TIME", default="now", help="RFC 3339: judge the evidence at this time")
    verify.add_argument("--json", action="store_true", help="JSON on stdout")
    _judge(verify)


def _image(commands: Sub) -> None:
    from enarx.cli.image_options import add_image

    add_image(commands, _command)


def _reset(commands: Sub) -> None:
    parser = _command(commands, "reset", "reset:reset", "remove all local state, after asking", "enarx reset")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _completion(commands: Sub) -> None:
    parser = _command(
        commands,
        "completion",
        "completion:completion",
        "print a shell's completion script",
        'eval "$(enarx completion bash)"',
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
