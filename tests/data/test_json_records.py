"""Records of JSON files."""

from __future__ import annotations

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.json_records import each_record


def test_an_empty_array_has_no_records_and_a_number_is_none(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("[]")
    assert list(each_record(file)) == []
    file.write_text("[\n7]")
    with pytest.raises(ZooterError, match=r"a JSON object in .*a\.json, record 1"):
        list(each_record(file))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[\n{"a": 1},\n{"a": }\n]', 3), ('[\n{"a": 1}\n{"a": 2}\n]', 3), ('[\n{"a": 1},\n\n7x\n]', 4),
        ('{"a": 1}\nnonsense\n', 2), ("[" * 100_000, 1), ('[{"a": ' + "9" * 5000 + "}]", 1),
    ],
)  # fmt: skip
def test_broken_json_is_named_by_line(tmp_path, text, line):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ZooterError, match=rf"a\.json, line {line}\b"):
        list(each_record(file))
