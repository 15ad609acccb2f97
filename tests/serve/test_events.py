"""What the endpoint measures in answers."""

from __future__ import annotations

from zooter_core.serve.targets import written


def test_the_text_of_a_whole_answer_is_measured():
    call = {"function": {"name": "f", "arguments": "{}"}}
    assert written({"choices": [{"message": {"content": "caf\u00e9", "reasoning": "so", "tool_calls": [call]}}]}) == 9
    assert written({"output": [{"content": [{"text": "four"}]}, {"arguments": "{}"}, {"summary": []}]}) == 6
    assert written({"choices": [None, {"message": None}], "output": "x"}) == 0
