"""`[reward]` and `[tagger]` of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fleet_toml import JUDGE_FAR, change_table, refusal
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import REWARDS, TAGGERS
from zooter_core.labelling import rewards, taggers

JUDGE = '[reward]\nkind = "judge"\n\n[reward.judge]\nbackend = "transformers"\nmodel = "owner/judge"'
PAIRS = JUDGE.replace('"judge"', '"judge"\nmode = "pair"', 1)
SCALAR = '[reward]\nkind = "scalar"\nmodel = "owner/rm"'
HTTP = '[reward]\nkind = "http"\nurl = "http://x"'
INSTAG = '[tagger]\nkind = "instag"\n\n[tagger.instagger]\nbackend = "transformers"\nmodel = "OFA-Sys/InsTagger"'


def test_a_judge_gives_points_or_compares(folder):
    for table, compares in ((JUDGE, False), (PAIRS, True)):
        assert load_fleet(change_table(folder, "reward", table)).reward.compares is compares


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (JUDGE.replace('model = "owner/judge"', ""), '[reward.judge] of {path} lacks the key "model"'),
        ('[reward]\nkind = "judge"', 'lacks the key "judge". Add a table [reward.judge].'),
        ('[reward]\nkind = "judge"\njudge = "owner/judge"', "is 'owner/judge'. It must be a table."),
        (SCALAR + '\nurl = "http://x"', 'unknown key "url". Known: adapter, dtype'),
        ('[reward]\nkind = "pairwise"\nmodel = "o/m"\ntemplate = "{query}{response}"', '"template". Known: dtype'),
        (SCALAR + '\ntemplate = "{query}"', "template in [reward] of {path} lacks {response}."),
        (JUDGE_FAR.replace("base_url", "base_ulr"), '[reward.judge] of {path} has an unknown key "base_ulr".'),
        (JUDGE_FAR.replace("= 300", "= 0"), "first_token_seconds in [reward.judge] of {path}"),
        (PAIRS.replace('"pair"', '"pair"\ntemplate = "{query}"'), "lacks {first} and {second}"),
    ],
)
def test_a_wrong_reward_table_is_one_clear_error(folder, table, message):
    path = str(folder.resolve() / "fleet.toml")
    assert message.replace("{path}", path) in refusal(change_table(folder, "reward", table))


def test_a_servers_name_for_a_reward_model_is_no_path(folder):
    assert load_fleet(change_table(folder, "reward", f'{HTTP}\nmodel = "router"')).reward.model == "router"


def test_a_kind_of_another_package_takes_its_own_settings(folder):
    table = '[reward]\nkind = "mine"\nrevision = "abc"\nmodle = "x"\n[reward.more]\nn = 1'
    reward = load_fleet(change_table(folder, "reward", table)).reward
    assert (reward.kind, reward.revision, reward.settings) == ("mine", "abc", {"modle": "x", "more": {"n": 1}})
    tagger = load_fleet(change_table(folder, "tagger", '[tagger]\nkind = "mine"\nlevel = 3')).tagger
    assert (tagger.kind, tagger.settings) == ("mine", {"level": 3})


def test_a_tagger_that_is_a_language_model(folder):
    tagger = load_fleet(change_table(folder, "tagger", INSTAG)).tagger
    assert (tagger.instagger.name, tagger.instagger.model) == ("instagger", "OFA-Sys/InsTagger")
    table = JUDGE_FAR.replace("reward", "tagger").replace('"judge"', '"instag"').replace("judge", "instagger")
    (folder / "fleet.toml").write_text((folder / "fleet.toml").read_text().replace(INSTAG, table))
    assert load_fleet(folder).tagger.instagger.endpoint.base_url == "http://localhost:8000/v1"


def tables_of(name: str) -> list[str]:
    """The tables of fleet.toml in docs/reward-models.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "reward-models.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    return [block for block in blocks if block.startswith(f"[{name}]")]


@pytest.mark.parametrize("name", ["reward", "tagger"])
def test_the_tables_of_the_docs_are_read(folder, name):
    for table in tables_of(name):
        part = getattr(load_fleet(change_table(folder, name, table)), name)
        assert f'"{part.kind}"' in table
        assert isinstance(part, {"reward": REWARDS, "tagger": TAGGERS}[name][part.kind])


def test_the_docs_show_every_reward_kind():
    shown = {line.split('"')[1] for table in tables_of("reward") for line in table.splitlines() if line[:4] == "kind"}
    assert shown == set(rewards.KINDS) == set(REWARDS)
    assert set(taggers.KINDS) == set(TAGGERS)
