"""The list of mutations fits the code as it is, so that run.py can be started at any time."""

from __future__ import annotations

import ast

from mutations.run import KILLED, ROOT, read_mutations, why_not_applicable

MUTATIONS = read_mutations()


def test_there_are_fifty_from_every_room():
    assert [mutation.number for mutation in MUTATIONS] == list(range(1, 51))
    rooms = {path.parent.name for path in (ROOT / "zooter_core").glob("*/__init__.py")}
    assert {mutation.room for mutation in MUTATIONS} == rooms


def test_each_fits_the_code_once():
    """Whoever rewrites a line that a mutation changes takes the mutation along: the new text, or another slip there."""
    reasons = {mutation.number: why_not_applicable(mutation) for mutation in MUTATIONS}
    assert [f"{number}. {reason}" for number, reason in reasons.items() if reason] == []


def test_each_is_a_slip_and_no_error_of_syntax():
    for mutation in MUTATIONS:
        assert mutation.old != mutation.new
        assert mutation.old.count("\n") < 2
        ast.parse((ROOT / mutation.path).read_text(encoding="utf-8").replace(mutation.old, mutation.new))


def test_each_was_noticed_by_a_test():
    assert [mutation.number for mutation in MUTATIONS if mutation.verdict != KILLED] == []
