"""``autometa completion``: what a shell needs to complete commands, options and file names."""

from __future__ import annotations

import argparse
from typing import Final

from autometa.cli._terminal import show

SHELLS: Final = ("bash", "zsh", "fish", "tcsh")
EXAMPLES: Final = (
    ("in bash, from now on", "echo 'eval \"$(autometa completion bash)\"' >> ~/.bashrc"),
    ("in zsh, where a folder of $fpath is yours", "autometa completion zsh > ~/.zfunc/_autometa"),
    ("in fish", "autometa completion fish > ~/.config/fish/completions/autometa.fish"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "shell", metavar="SHELL", choices=SHELLS, help=f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import shtab

    from autometa.cli import build_parser

    parser = build_parser()
    for child in _commands(parser):
        for action in child._actions:
            name = str(action.metavar)
            if name in ("DATA", "MODEL") or name.startswith("FILE"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif name == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    show(shtab.complete(parser, shell=args.shell))
    return 0


def _commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parsers of the commands."""
    return [
        child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for child in action.choices.values()
    ]
