"""How arguments are parsed: what Typer leaves out, and its errors as ours."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

from zooter_core.errors import MOST_LISTED, MOST_NAMED, ZooterError, did_you_mean, shortened

NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")


class CallError(ZooterError):
    """A command line that cannot be read."""

    @classmethod
    def of(cls, message: str, command: str) -> CallError:
        """An error that says what is wrong with a call of a command."""
        message = shortened(message, MOST_LISTED)
        message = message if message.endswith((".", "?")) else f"{message}."
        return cls(f"a valid call of {command}", message, f"Try `{command} --help`.", message)


class Command(TyperCommand):
    """A command. An option of several values takes them in a row: `--scores a.jsonl b.jsonl`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name: option for option in self.get_params(ctx) for name in option.opts if name.startswith("-")}
        return super().parse_args(ctx, _arranged(args, options, ctx.command_path))


def _arranged(arguments: Sequence[str], options: Mapping[str, Any], command: str) -> list[str]:
    """Arguments as Typer reads them: each value of a list after the option's name, positional arguments last."""
    arranged: list[str] = []
    positional: list[str] = []
    rest = deque(arguments)
    while rest:
        argument = rest.popleft()
        name, equals, value = argument.partition("=")
        option = options.get(name)
        if argument == "--":
            positional += rest
            break
        if option is None and not _is_option(argument):
            positional.append(argument)
        elif option is None:
            raise CallError.of(f"Unknown option {shortened(name, MOST_NAMED)}. {did_you_mean(name, options)}", command)
        elif option.is_flag:
            arranged.append(argument)
        else:
            values = [value] if equals else []
            while rest and not _is_option(rest[0]) and (option.multiple or not values):
                values.append(rest.popleft())
            if not values:
                raise CallError.of(f"Option {name} needs a value", command)
            if not all(values):
                raise CallError.of(f"The value of {name} is empty", command)
            arranged += [part for value in values for part in (name, value)]
    return [*arranged, "--", *positional]


def _is_option(argument: str) -> bool:
    """Whether an argument is meant as an option. "-", "-1" and "-5 + 3" are not."""
    return argument.startswith("-") and len(argument) > 1 and " " not in argument and not NEGATIVE.fullmatch(argument)
