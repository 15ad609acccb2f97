"""TOML that is wild: it is read, or refused in one message."""

from __future__ import annotations

from contextlib import suppress

import pytest

from support.fleet_toml import refusal
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import GenerationConfig, RouterConfig, load_fleet
from zooter_core.config.labelling import REWARDS, TAGGERS

DEEP = 5000
WILD = [
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[1979-05-27]", "nan", "inf", "-inf", "-1", "0", "1e308"),
    *("9223372036854775808", "0x" + "f" * DEEP, "1" + "0" * 400, "true", '""', '"\\u0000"', '"a\\u0000b"'),
    *('"../.."', '"package:.."', "[]", "[[1]]", "{}", "{a = 1}", "[" * 300 + "]" * 300),
]
MODEL = ['backend = "transformers"', 'model = "owner/model"']
VALID = {
    "router": ([RouterConfig], ['path = "router"']),
    "reward": ([*REWARDS.values()], ['kind = "scalar"', 'model = "reward"']),
    "tagger": ([*TAGGERS.values()], ['kind = "nearest"']),
    "generation": ([GenerationConfig], []),
    "memory": ([MemoryConfig], []),
    "candidate": ([CandidateConfig], ['name = "base"', *MODEL]),
    "endpoint": (
        [EndpointConfig],
        ['name = "far"', 'backend = "openai"', 'model = "m"', 'base_url = "http://localhost:1/v1"'],
    ),
}
KEYS = [(table, key) for table, (kinds, _) in VALID.items() for kind in kinds for key in kind.file_keys()]


@pytest.mark.parametrize("value", WILD, ids=lambda value: value[:12])
def test_a_wild_value_is_taken_or_refused_in_one_message(folder, value):
    never = "u0000" in value or value == "nan"
    for table, key in dict.fromkeys(KEYS):
        lines = [line for line in VALID[table][1] if not line.startswith(f"{key} ")]
        one = table in ("candidate", "endpoint")
        text = "\n".join(["[[candidate]]" if one else f"[{table}]", *lines, f"{key} = {value}", ""])
        text += "" if one else "\n".join(["[[candidate]]", *VALID["candidate"][1]])
        (folder / "fleet.toml").write_text(text)
        with pytest.raises(ZooterError, match=r"fleet\.toml") if never else suppress(ZooterError):  # and nothing else
            load_fleet(folder)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a = " + "[" * DEEP,
            "a = " + "{a = " * DEEP,
            "a = " + "[" * DEEP + "]" * DEEP,
            "name" + ".a" * DEEP + " = 1",
        ),
        *("name" + ".a" * DEEP + " = 1\n[[candidate]]\nname = 1", "[reward" + ".a" * DEEP + "]", "a = " + "9" * DEEP),
        *("[[candidate" + ".a" * DEEP + "]]", "[[candidate]]\nname" + ".a" * DEEP + " = 1", "candidate = 1979-05-27"),
        "name = 0x" + "f" * DEEP + '\n[[candidate]]\nname = "a"\nbackend = "transformers"\nmodel = "owner/model"',
    ],
    ids=lambda text: text[:12],
)
def test_toml_that_python_does_not_read_is_one_clear_error(folder, text):
    (folder / "fleet.toml").write_text(text)
    assert str(folder.resolve() / "fleet.toml") in refusal(folder)


def test_a_byte_order_mark_is_no_matter(folder):
    text = (folder / "fleet.toml").read_text()
    (folder / "fleet.toml").write_text(text, encoding="utf-8-sig")
    assert load_fleet(folder).name == "pair"


@pytest.mark.parametrize(
    "content", [b'name = "caf\xe9"\n', 'name = "x"'.encode("utf-16"), 'name = "x"'.encode("utf-32")]
)
def test_other_encodings_are_one_clear_error(folder, content):
    (folder / "fleet.toml").write_bytes(content)
    assert "valid TOML in UTF-8" in refusal(folder)
