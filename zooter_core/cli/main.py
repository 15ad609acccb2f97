"""`zooter`: parses the command line, runs a command, and turns errors into a message and an exit code.

Results go to stdout, progress and errors to stderr. `zooter --help` loads no command.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from zooter_core import __version__
from zooter_core.base.errors import (
    FIX_PERMISSIONS,
    LONGEST_FOUND,
    MOST_LISTED,
    MOST_NAMED,
    NotInstalledError,
    ZooterError,
    did_you_mean,
    shortened,
)
from zooter_core.base.gone import check_gone
from zooter_core.base.terminal import guarded
from zooter_core.cli import COMMANDS


class CallError(ZooterError):
    """An invalid command line."""

    @classmethod
    def of(cls, message: str, command: str) -> CallError:
        """The error for an invalid call of a command."""
        message = shortened(" ".join(message.split()), MOST_LISTED)
        message = message if message.endswith((".", "?")) else f"{message}."
        return cls.saying(message, f"Try `{command} --help`.")


class Command(TyperCommand):
    """A command with two features that Typer lacks: several values after one option, as in `--scores *.jsonl`, and
    `--debug` after the command.

    An option takes all values that follow it, as with argparse. So arguments come first, also in the help.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        options, *arguments = super().collect_usage_pieces(ctx)
        return [*arguments, options]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name: option for option in self.params for name in option.opts}
        end = args.index("--") if "--" in args else len(args)
        name = ""
        spelled: list[str] = []
        for argument in args[:end]:
            if argument == "--debug":  # handled by `main`
                continue
            if argument.startswith("-"):
                name = argument.partition("=")[0]
            elif getattr(options.get(name), "multiple", False) and spelled[-1] != name:
                spelled.append(name)  # Typer expects the option before each value
            if not argument or (argument == f"{name}=" and name in options):
                # Probably a shell variable that is not set. As a path, it would be the current folder.
                raise CallError.of(f"The value of {name or 'an argument'} is empty", ctx.command_path)
            spelled.append(argument)
        return super().parse_args(ctx, spelled + args[end:])


PROGRAM = "zooter"
SAVING = ("bench", "distill", "evaluate", "exam", "learn", "run", "score", "setup")  # commands that can be continued
PACKAGE = Path(__file__).parents[1]
LIBRARY_WARNING = warnings.formatwarning
PLAIN: Any = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def load_command(name: str) -> Any:
    """Load a command in COMMANDS from its file."""
    module = name.replace(" ", "_")
    function = getattr(importlib.import_module(f"zooter_core.cli.{module}"), module)
    app = typer.Typer(**PLAIN)
    app.command(name, cls=Command, help=COMMANDS[name])(function)
    return typer.main.get_command(app)


class Commands(TyperGroup):
    """The commands. Each is loaded when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if (name := " ".join(args[:2])) in COMMANDS:  # a command of two words, such as `serve keys`
            args = [name, *args[2:]]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            check_gone(f"{PROGRAM} {cmd_name}")
            hint = did_you_mean(cmd_name, COMMANDS)
            raise CallError.of(f"Unknown command {shortened(cmd_name, MOST_NAMED)}. {hint}", PROGRAM)
        return load_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(cls=Commands, context_settings=SETTINGS, **PLAIN)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(help="One front door to several language models.")
def zooter(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """The options of `zooter` itself. `main` reads --debug, which may also follow the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0 after success, 1 if the work failed, 2 if the call or its input is invalid, 130 if interrupted.
    """
    # Otherwise, the garbage collector takes 0.1 s during imports and at exit.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    # The search for pydantic plug-ins reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if "OMP_WAIT_POLICY" not in os.environ:
        # PyTorch's threads would spin for 3 ms before they sleep, and on a busy machine take cores from each other.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in arguments
    if arguments[0] in ("ask", "compare", "learn", "route"):
        # numpy's threads wait for each other in every small system of equations, which is slow on a busy machine. A new
        # thread also spins for 20 ms, although routing has no work for it.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    warnings.formatwarning = _format_warning
    with guarded():
        try:
            return _run(arguments)
        except BrokenPipeError:  # `zooter route - | head`
            sys.stderr.close()
            return 0
        except KeyboardInterrupt:
            again = " Finished work is saved; run the command again to continue."
            saves = next((word for word in arguments if not word.startswith("-")), "") in SAVING
            print(f"\n{PROGRAM}: stopped.{again if saves else ''}", file=sys.stderr)
            return 130
        except Exception as problem:
            if debug and not isinstance(problem, CallError):
                traceback.print_exc()  # inside `guarded`
            message, code = _describe(problem)
            print(f"{PROGRAM}: {message}", file=sys.stderr)
            return code


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """The text of a warning. Our own warnings are shown on one line without their place in the code."""
    ours = category is UserWarning and Path(filename).is_relative_to(PACKAGE)
    return f"{PROGRAM}: {message}\n" if ours else LIBRARY_WARNING(message, category, filename, lineno, line)


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context(PROGRAM, arguments) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as problem:
        place, option = getattr(problem, "ctx", None), getattr(problem, "option_name", "")
        path = place.command_path if place else PROGRAM
        check_gone(f"{path} {option}")
        message = problem.format_message().replace("Value error, ", "")
        if option and (" " in option or not option.startswith("--")):  # a query such as "-5 + 3"
            message = f"{message}. Put -- before a query that begins with a dash"
        if place and message.startswith("Missing argument") and any(option.multiple for option in place.command.params):
            # An option with several values may have taken it.
            message = f"{message.rstrip('.')}. Put it before the options"
        raise CallError.of(message, path) from problem


def _describe(problem: Exception) -> tuple[str, int]:
    """The message and the exit code for an error."""
    if isinstance(problem, ZooterError):
        return str(problem), problem.exit_code
    if isinstance(problem, PermissionError):  # not handled elsewhere
        return f"{problem.filename} is not accessible: {problem}. {FIX_PERMISSIONS}", 2
    if isinstance(problem, ModuleNotFoundError) and problem.name and not problem.name.startswith("zooter_core"):
        package = problem.name.partition(".")[0]
        return str(NotInstalledError(package, "This command", f"pip install {package}")), 2
    reason = shortened(f"{type(problem).__name__}: {problem}", LONGEST_FOUND)
    return f"the command failed: {reason}. Run it with --debug for the traceback.", 1
