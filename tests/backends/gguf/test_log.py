"""The reason of a failure in the log of llama.cpp."""

from __future__ import annotations

import pytest

from zooter_core.backends.gguf.log import first_error, last_line


@pytest.mark.parametrize(
    ("text", "error", "last"),
    [
        ("", "", ""),
        ("0.00.008.074 ", "", "0.00.008.074"),  # half a line
        ("0.08 E load: unknown model arch", "", "0.08 E load: unknown model arch"),
        ("0.08 I loading\n0.09 E load: no such file\n0.10 E main: bye\n", "no such file", "0.10 E main: bye"),
        ("GGML_ASSERT(rows > 0) failed\n", "GGML_ASSERT(rows > 0) failed", "GGML_ASSERT(rows > 0) failed"),
    ],
)
def test_the_reason_is_the_first_error_that_is_whole(tmp_path, text, error, last):
    (tmp_path / "log").write_text(text)
    assert (first_error(tmp_path / "log"), last_line(tmp_path / "log")) == (error, last)


def test_a_log_that_is_missing_has_no_reason(tmp_path):
    assert first_error(tmp_path / "log") == last_line(tmp_path / "log") == ""
