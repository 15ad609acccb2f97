"""Where a key of the environment may go: a fleet.toml of a stranger names both the variable and the server."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from support.fleet_toml import FAR
from support.patience import PATIENCE
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import ROOT
from zooter_core.cli.main import main
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import HttpConfig
from zooter_core.config.trust import trust, trust_file
from zooter_core.labelling.rewards.http import HttpReward

SECRET = "AWS_SECRET_ACCESS_KEY"
ALMOST = ("LLM_KEY_OF_MY_BANK", "MY_LLM_KEY")  # as the keys of one's own model servers, and more
ELSEWHERE = "https://models.example.org/v1"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for name in (SECRET, "OPENAI_API_KEY", "VLLM_API_KEY", *ALMOST):
        monkeypatch.setenv(name, "hush")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A stranger's fleet."""
    return write(tmp_path / "fleet", ELSEWHERE)


def write(folder: Path, url: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "fleet.toml").write_text(FAR.replace("http://localhost:11434/v1", url).replace("FAR_KEY", SECRET))
    return folder


def refusal(variable: str, url: str, **keys: bool) -> str:
    """Why a key is not sent, with a candidate and with a reward model alike; "" if it is."""
    reasons = set()
    for read in (
        lambda: EndpointConfig(url, variable, **keys).key("far"),
        lambda: HttpReward(HttpConfig(url, api_key_env=variable, **keys), None),
    ):
        try:
            assert read() is not None
            reasons.add("")
        except ZooterError as problem:
            reasons.add(str(problem).replace("the reward endpoint", "far"))
    (reason,) = reasons
    assert "hush" not in reason
    return reason


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        (SECRET, "http://localhost:8000/v1"),
        (SECRET, "http://127.0.0.1:8000/v1"),
        (SECRET, "http://[::1]:8000/v1"),
        ("OPENAI_API_KEY", "https://api.openai.com/v1"),
        ("VLLM_API_KEY", ELSEWHERE),
    ],
)
def test_a_key_goes_without_asking_to_this_machine_its_provider_or_a_model_server_of_ones_own(variable, url):
    assert refusal(variable, url) == ""


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        *((name, ELSEWHERE) for name in (SECRET, *ALMOST)),
        ("OPENAI_API_KEY", ELSEWHERE),
        ("OPENAI_API_KEY", "https://api.openai.com.example.org/v1"),
        ("OPENAI_API_KEY", "https://example.org\\\\.api.openai.com/v1"),
        (SECRET, "https://127.0.0.1.example.org/v1"),
        (SECRET, "https://localhost.example.org/v1"),
    ],
)
def test_another_secret_or_a_providers_key_for_another_server_is_listed_and_refused(variable, url):
    message = refusal(variable, url)
    assert "This is not allowed yet" in message
    assert f"{variable} to https://" in message
    assert "zooter trust" in message


def test_no_key_goes_over_plain_http_to_another_machine(fleet):
    for variable in (SECRET, "VLLM_API_KEY"):
        assert "insecure = true" in refusal(variable, "http://models.example.org/v1")
    assert refusal("VLLM_API_KEY", "http://models.example.org/v1", insecure=True) == ""
    assert "This is not allowed" in refusal(SECRET, "http://models.example.org/v1", insecure=True)


def test_a_trusted_fleet_may_send_what_it_named_then_and_nothing_else(fleet, capsys):
    assert main(["trust", str(fleet)]) == 0
    assert capsys.readouterr().out == f"{SECRET} may be sent to https://models.example.org.\n"
    assert stat.S_IMODE(trust_file().stat().st_mode) == 0o600
    assert refusal(SECRET, ELSEWHERE) == ""
    for url in ("https://models.example.org:8443/v1", "https://other.example.org/v1"):
        assert "This is not allowed" in refusal(SECRET, url)
    assert "This is not allowed" in refusal("OPENAI_API_KEY", ELSEWHERE)
    assert main(["trust", str(write(fleet, "https://other.example.org"))]) == 0
    assert [refusal(SECRET, url) for url in (ELSEWHERE, "https://other.example.org/v1")] == ["", ""]


def test_an_address_with_spaces_allows_no_second_pair():
    trust([(SECRET, "http://h OPENAI_API_KEY=https://evil.example/v1")])
    assert trust_file().read_text().split() == [f"{SECRET}=http://h%20openai_api_key%3Dhttps"]


def test_a_variable_allows_it_for_a_service(monkeypatch):
    monkeypatch.setenv("ZOOTER_TRUST", f"OTHER=https://x.org {SECRET}=https://models.example.org")
    assert refusal(SECRET, ELSEWHERE) == ""


def test_a_fleet_names_the_keys_of_its_candidates_judge_tagger_and_reward_model(fleet):
    models = "".join(
        f'[{name}]\nbackend = "openai"\nmodel = "m"\nbase_url = "{ELSEWHERE}"\napi_key_env = "{variable}"\n'
        for name, variable in (("reward.judge", "JUDGES"), ("tagger.instagger", "TAGGERS"))
    )
    text = (fleet / "fleet.toml").read_text()
    (fleet / "fleet.toml").write_text(f'{text}[reward]\nkind = "judge"\n[tagger]\nkind = "instag"\n{models}')
    assert [variable for variable, _ in load_fleet(fleet).key_uses] == [SECRET, "JUDGES", "TAGGERS"]
    (fleet / "fleet.toml").write_text(f'{text}[reward]\nkind = "http"\nurl = "{ELSEWHERE}"\napi_key_env = "REWARDS"\n')
    assert load_fleet(fleet).key_uses == [(SECRET, ELSEWHERE), ("REWARDS", ELSEWHERE)]


def at_a_terminal(fleet: Path, answer: bytes, *command: object) -> tuple[int, str]:
    """A command at a terminal, at which somebody answers: its exit code, and what the terminal shows."""
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    ended = subprocess.run(
        [sys.executable, "-m", "zooter_core.cli", *map(str, command), "--fleet", str(fleet)],
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    shown = os.read(ours, 1 << 16).decode(errors="replace")  # the terminal keeps no more than 4 KB
    assert f"{SECRET} would be sent to https://models.example.org" in shown
    assert "hush" not in shown + ended.stdout.decode()
    return ended.returncode, shown


def test_at_a_terminal_it_is_asked_and_with_a_yes_the_command_goes_on(fleet):
    code, _ = at_a_terminal(fleet, b"y\n", "learn", "status")
    assert (code, trust_file().exists()) == (0, True)


def test_with_a_no_it_ends_and_no_bar_hides_the_question(fleet, tmp_path):
    (tmp_path / "queries.txt").write_text("What is 7?\n")
    step = ["run", "--queries", tmp_path / "queries.txt", "--out", tmp_path / "run", "--until", "collect"]
    code, shown = at_a_terminal(fleet, b"n\n", *step)
    assert (code, trust_file().exists()) == (2, False)
    assert "\x1b" not in shown[: shown.index("Allow this, now and in the future?")]  # a bar would be drawn over it
