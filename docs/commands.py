"""Write docs/commands.md: every command with its arguments and options, as the parsers have them.

python docs/commands.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from zooter_core.cli import COMMANDS
from zooter_core.cli.main import app, load_command

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """\
# All commands and options

What `zooter COMMAND --help` says, for every command; [command-line.md](command-line.md) shows the most used ones at
work. Where a value ends in `...`, you may give several: `--scores a.jsonl b.jsonl`. Put arguments such as `SUITE` of
`zooter bench` before the options. This page is written by `python docs/commands.py`.
"""


def section(name: str, command: Any, text: str) -> str:
    """A heading, what a command does, and a table of what it takes."""
    context = typer.Context(command)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [f"| `{_name(option)}` | {meaning} |" for option, meaning in records]
    return "\n".join([f"## {name}", "", text, *(["", "| option | meaning |", "|---|---|", *rows] if rows else []), ""])


def _name(text: str) -> str:
    """An option with its value, or an argument without its type, in a cell of a table."""
    name, _, kind = text.rstrip(">").partition(" <")
    return (f"{name} {kind}" if kind and name.startswith("-") else name).replace("|", r"\|")


def page() -> str:
    """The text of the page."""
    sections = [section("zooter", typer.main.get_command(app), "Before a command; `--debug` also after it.")]
    sections += [section(f"zooter {name}", load_command(name), text) for name, text in COMMANDS.items()]
    return "\n".join([INTRODUCTION, *sections])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
