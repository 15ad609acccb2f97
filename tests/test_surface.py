"""How much there is to learn: commands, options, keys, variables, kinds. A new one takes the place of another.

And what the version before had, which is refused with the way to do its job now.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.gone import GONE
from zooter_core.base.plugins import load_kind
from zooter_core.cli import COMMANDS
from zooter_core.cli.main import load_command, main
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import FleetFile, GenerationConfig, LearnConfig, RouterConfig, load_fleet
from zooter_core.config.labelling import REWARDS, TAGGERS
from zooter_core.config.serve import ServeConfig
from zooter_core.router.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
TABLES = (
    *(FleetFile, RouterConfig, GenerationConfig, MemoryConfig, ServeConfig, LearnConfig),
    *(CandidateConfig, EndpointConfig, *REWARDS.values(), *TAGGERS.values()),
)
BUDGET = {"commands": 18, "options": 65, "keys": 84, "variables": 6, "router kinds": 5}


def options() -> set[str]:
    commands = [load_command(name) for name in COMMANDS]
    return {name for command in commands for option in command.params for name in option.opts if name[:2] == "--"}


def keys() -> set[str]:
    return {f"{table.title} {key}" for table in TABLES for key in table.file_keys()}


def variables() -> set[str]:
    files = [*(ROOT / "zooter_core").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    return {name for file in files for name in re.findall(r"\bZOOTER_[A-Z_]+", file.read_text(encoding="utf-8"))}


SURFACE = {
    "commands": {name.split()[0] for name in COMMANDS},
    "options": {*options(), "--version", "--debug"},
    "keys": keys(),
    "variables": variables(),
    "router kinds": set(KINDS),
}


@pytest.mark.parametrize("kind", SURFACE)
def test_there_is_no_more_than_the_budget(kind: str) -> None:
    names = sorted(SURFACE[kind])
    assert len(names) <= BUDGET[kind], f"{len(names)} {kind} where {BUDGET[kind]} fit: {', '.join(names)}"


def calls(prefix: str) -> list[str]:
    return [name for name in GONE if name.startswith(prefix)]


def test_commands_and_options_that_are_gone_name_their_successors(capsys: pytest.CaptureFixture[str]) -> None:
    for name in calls("zooter "):
        assert main(name.split()[1:]) == 2
        assert f"`{name}` was removed: {GONE[name]}" in capsys.readouterr().err


CANDIDATE = '[[candidate]]\nname = "a"\nmodel = "m"\nbackend = "openai"\nbase_url = "http://localhost:1/v1"\n'
KEYS = {"[router]": 'path = "router"', "[reward]": 'kind = "judge"', "[tagger]": 'kind = "given"'}  # that a table needs


def test_so_do_keys(tmp_path: Path) -> None:
    for name in calls("["):
        table, _, key = name.rpartition(" ")
        tables = "" if table == "[[candidate]]" else f"{table}\n{KEYS.get(table, '')}\n"
        (tmp_path / "fleet.toml").write_text(f"{CANDIDATE}{tables}{key} = 1\n")
        with pytest.raises(ZooterError) as refused:
            load_fleet(tmp_path)
        assert f'has the key "{key}", which was removed: {GONE[name]}' in str(refused.value)


def test_so_do_kinds() -> None:
    for name in [name for name in GONE if " kind " in name]:
        family, _, kind = name.split()
        with pytest.raises(ZooterError) as refused:
            load_kind(family, {}, kind)
        assert f"`{name}` was removed: {GONE[name]}" in str(refused.value)
