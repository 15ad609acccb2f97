from __future__ import annotations

import json

import pytest

from zooter_core.learn.traffic import FILE


@pytest.fixture
def importing(zooter, tmp_path):
    """Imports a log: exit code, and stderr without its line breaks."""

    def call(log):
        code, _, err = zooter("learn", "import", log, "--data", tmp_path / "data")
        return code, " ".join(err.split())

    return call


def test_a_path_with_nothing_at_it_makes_no_traffic_file(importing, tmp_path):
    code, err = importing(tmp_path / "none.jsonl")
    assert (code, "nothing at" in err) == (2, True)
    assert not (tmp_path / "data" / FILE).exists()


def test_what_is_no_query_is_counted_by_its_reason_and_an_unknown_format_is_described(importing, tmp_path):
    log, kinds = tmp_path / "log.json", ("acompletion", "aspeech", "amoderation", "aspeech")
    log.write_text(json.dumps({"data": [{"call_type": kind, "messages": "some text"} for kind in kinds]}))
    code, err = importing(log)
    assert (code, "left out 2: speech left out 1: moderation" in err) == (0, True)
    assert "answer up to 200 of them (--share" in err
    log.write_text('[{"colour": "red", "size": 1}]')
    code, err = importing(log)
    assert (code, "records with the fields colour, size" in err) == (2, True)
