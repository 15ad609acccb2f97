from __future__ import annotations

import json

import pytest

from support.command_files import ADAPTER, POOL, SEA, damage


def test_the_answer_of_the_chosen_candidate(zooter):
    chosen = json.loads(zooter("route", SEA, "--json")[1])["candidate"]
    code, out, err = zooter("ask", SEA, "--temperature", 0)
    assert code == 0
    assert f"->  {chosen}" in err
    assert out.strip()
    assert out == zooter("ask", SEA, "--temperature", 0, "--candidate", chosen)[1]


def test_each_candidate_has_another_answer_of_as_many_tokens_as_are_wanted(zooter):
    answers = {name: zooter("ask", SEA, "--temperature", 0, "--candidate", name)[1] for name in POOL}
    assert len(set(answers.values())) == 3
    short, longer = (zooter("ask", SEA, "--temperature", 0, "--max-new-tokens", n)[1] for n in (2, 6))
    assert longer.startswith(short.strip())
    assert len(longer) > len(short)


def test_an_unknown_candidate_is_exit_2(refused):
    assert 'Did you mean "two"?' in refused(2, "ask", SEA, "--candidate", "tow")


@pytest.mark.parametrize(("option", "value"), [("--temperature", -0.5), ("--max-new-tokens", 0)])
def test_generation_settings_out_of_range_are_exit_2(refused, option, value):
    assert f"Invalid value for '{option}'" in refused(2, "ask", SEA, option, value)


def test_a_candidate_that_fails_is_exit_1(zooter, fleet_copy):
    code, _, err = zooter("ask", SEA, "--candidate", "one", fleet=damage(fleet_copy, ADAPTER))
    assert code == 1
    assert "a LoRA adapter for one at one" in err
