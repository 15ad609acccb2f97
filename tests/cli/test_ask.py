from __future__ import annotations

import json

from support.command_files import SEA


def test_the_answer_of_the_chosen_candidate(zooter):
    chosen = json.loads(zooter("route", SEA, "--json")[1])["candidate"]
    code, out, err = zooter("ask", SEA, "--temperature", 0, "--max-new-tokens", 2)
    assert code == 0
    assert f"->  {chosen}" in err
    longer = zooter("ask", SEA, "--temperature", 0, "--max-new-tokens", 6, "--candidate", chosen)[1]
    assert out.strip()
    assert longer.startswith(out.strip())
    assert len(longer) > len(out)


def test_a_dash_reads_the_query_from_stdin(zooter, stdin, refused):
    settings = ("--temperature", 0, "--max-new-tokens", 4)
    stdin(f"{SEA}\nWhy?\n")
    assert zooter("ask", "-", *settings)[1] == zooter("ask", f"{SEA}\nWhy?", *settings)[1]
    stdin("")
    assert "an empty text" in refused(2, "ask", "-")
