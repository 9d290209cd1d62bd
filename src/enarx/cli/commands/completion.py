"""`enarx completion`: scripts for shells, made from the parser itself."""

from __future__ import annotations

import argparse
from typing import Any

from enarx.cli.parser import build_parser


def completion(options: argparse.Namespace) -> int:
    """Print the script for one shell."""
    words = {" ".join(path): sorted(found) for path, found in _words(build_parser(), ()).items()}
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](words))
    return 0


def _words(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
    """For each command what can follow it: sub-commands and long options."""
    here: list[str] = []
    below: dict[tuple[str, ...], list[str]] = {}
    for action in parser._actions:
        here += [option for option in action.option_strings if option.startswith("--")]
        choices: Any = action.choices
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in choices.items():
                here.append(name)
                below |= _words(sub, (*path, name))
        elif choices:
            here += map(str, choices)
    return {path: here, **below}


def _cases(words: dict[str, list[str]]) -> str:
    return "\n".join(f'    "{path}") words="{" ".join(found)}" ;;' for path, found in words.items())


def _bash(words: dict[str, list[str]]) -> str:
    return f"""_enarx() {{
  local words="" path="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) path="${{path:+$path }}$word" ;; esac
  done
  while :; do
    case "$path" in
{_cases(words)}
    *) [[ "$path" == *" "* ]] && {{ path="${{path% *}}"; continue; }} ;;
    esac
    break
  done
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _enarx enarx"""


def _zsh(words: dict[str, list[str]]) -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: dict[str, list[str]]) -> str:
    lines = ["complete -c enarx -n __fish_use_subcommand -f -a '" + " ".join(w for w in words[""] if w[0] != "-") + "'"]
    for path, found in words.items():
        for word in found:
            condition = " && ".join(f"__fish_seen_subcommand_from {part}" for part in path.split()) or "true"
            lines.append(f"complete -c enarx -n '{condition}' -a '{word}'")
    return "\n".join(lines)
