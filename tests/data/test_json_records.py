"""Records of JSON files."""

from __future__ import annotations

import json

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.json_records import each_record


@pytest.mark.parametrize("layout", ["dense", "wide", "lines", "odd"])
def test_json_is_read_whatever_its_layout(tmp_path, layout):
    records = [
        {"n": n, "text": '\\ " ☕ 杯子 😀'[: n % 11], "deep": [{"a": [n, -1.5e3, None, True]}]} for n in range(30)
    ]
    text, lines = {
        "dense": (json.dumps(records), [1] * 30),
        "wide": (json.dumps(records, indent=4), [2 + 14 * n for n in range(30)]),
        "lines": ("\n\n".join(map(json.dumps, records)) + "\n", [1 + 2 * n for n in range(30)]),
        "odd": (
            "\ufeff [" + " ,\r\n ".join(json.dumps(r, ensure_ascii=False) for r in records) + " ] ",
            [1 + n for n in range(30)],
        ),
    }[layout]
    file = tmp_path / "a.json"
    file.write_bytes(text.encode("utf-8"))
    assert list(each_record(file)) == [(f"{file}, line {n}", r) for n, r in zip(lines, records, strict=True)]


def test_an_empty_array_has_no_records_and_a_number_is_none(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("[]")
    assert list(each_record(file)) == []
    file.write_text("[\n7]")
    with pytest.raises(ZooterError, match=r"a JSON object in .*a\.json, line 2"):
        list(each_record(file))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[\n{"a": 1},\n{"a": }\n]', 3), ('[\n{"a": 1}\n{"a": 2}\n]', 3), ('[\n{"a": 1},\n]', 3),
        ('{"a": 1}\nnonsense\n', 2), ('[\n{"a": 1},\n' + "[" * 100_000, 3),
        ('[\n{"a": 1},\n{"a": ' + "9" * 5000 + "}]", 3),
    ],
)  # fmt: skip
def test_broken_json_is_named_by_line(tmp_path, text, line):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ZooterError, match=rf"a\.json, line {line}\b"):
        list(each_record(file))
