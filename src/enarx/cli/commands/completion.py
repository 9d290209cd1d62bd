"""`enarx completion`: completion scripts for shells, generated from the declared options."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser

Words = dict[str, list[str]]
"""For each path of commands, such as "keep attach", the words that may follow it."""


def declare(parser: Parser) -> None:
    """Declare the options of `enarx completion`."""
    parser.runs(completion, 'eval "$(enarx completion bash)"')
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


def completion(options: argparse.Namespace) -> int:
    """Print the script for one shell; 0."""
    from enarx.cli.parser import build_parser

    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](_words(build_parser(), "")))
    return 0


def _words(parser: Parser, path: str) -> Words:
    words = {path: sorted([*parser.words, *parser.below])}
    for name, sub in parser.below.items():
        words |= _words(sub, f"{path} {name}".lstrip())
    return words


def _cases(words: Words) -> str:
    return "\n".join(f'    "{path}") words="{" ".join(following)}" ;;' for path, following in words.items())


def _bash(words: Words) -> str:
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


def _zsh(words: Words) -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: Words) -> str:
    commands = " ".join(word for word in words[""] if not word.startswith("-"))
    lines = [f"complete -c enarx -n __fish_use_subcommand -f -a '{commands}'"]
    for path, following in words.items():
        condition = " && ".join(f"__fish_seen_subcommand_from {part}" for part in path.split()) or "true"
        lines += (f"complete -c enarx -n '{condition}' -a '{word}'" for word in following)
    return "\n".join(lines)
