"""A model's folder comes from strangers: nothing that is in it runs."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest
import torch

from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import ROOT
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.labelling import ScalarConfig
from zooter_core.labelling.rewards.architectures import load
from zooter_core.router.encoder import Encoder

CODE = "open({mark!r}, 'w').close()\nfrom transformers import LlamaConfig as Config, LlamaForCausalLM as Model\n"
NAMES = {"AutoConfig": "code.Config", "AutoModel": "code.Model", "AutoModelForCausalLM": "code.Model"}


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that foreign code would make. Whoever is asked whether to run it says yes."""
    monkeypatch.setattr("builtins.input", lambda prompt="": "yes")
    return tmp_path / "it ran"


@pytest.fixture
def folder(tiny_fleet: Path, tmp_path: Path, mark: Path) -> Path:
    """A model of a kind that transformers does not know, with code for it."""
    folder = Path(shutil.copytree(tiny_fleet / "base", tmp_path / "model"))
    (folder / "code.py").write_text(CODE.format(mark=str(mark)))
    for name, keys in (
        ("config.json", {"model_type": "unheard-of", "auto_map": NAMES}),
        ("tokenizer_config.json", {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["code.Config", None]}}),
    ):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | keys))
    return folder


@pytest.mark.parametrize(
    "opened",
    [
        lambda path: TransformersBackend().load(CandidateConfig("one", "transformers", path)),
        lambda path: load(ScalarConfig(path)),
        Encoder,
    ],
    ids=["candidate", "reward", "encoder"],
)
def test_code_in_a_models_folder_does_not_run_and_nobody_is_asked(folder, mark, opened):
    with pytest.raises(ZooterError, match=r"custom code \(auto_map\), which Zooter does not run"):
        opened(str(folder))
    assert not mark.exists()


def test_pickled_code_in_weights_does_not_run(tiny_fleet, tmp_path, mark):
    class Evil:
        def __reduce__(self):
            return Path.touch, (mark,)

    folder = Path(shutil.copytree(tiny_fleet / "base", tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(ZooterError):
        TransformersBackend().load(CandidateConfig("one", "transformers", str(folder)))
    adapter = Path(shutil.copytree(tiny_fleet / "adapters" / "one", tmp_path / "adapter"))
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({"weight": Evil()}, adapter / "adapter_model.bin")
    with pytest.raises(ZooterError):
        TransformersBackend().load(
            CandidateConfig("one", "transformers", str(tiny_fleet / "base"), adapter=str(adapter))
        )
    assert not mark.exists()


def test_every_call_that_could_run_a_models_code_says_that_it_must_not():
    calls = [
        (file, call)
        for file in (ROOT / "zooter_core").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    ]
    loads = [(file, call) for file, call in calls if call.func.attr in ("from_pretrained", "from_config")]
    assert len(loads) > 8
    for file, call in loads:
        if isinstance(call.func.value, ast.Name) and call.func.value.id.startswith("Peft"):
            continue  # an adapter has weights and no code
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("trust_remote_code") == "False", f"{file.name}:{call.lineno}"
    for file, call in calls:
        if call.func.attr == "load" and ast.unparse(call.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(call), f"{file.name}:{call.lineno}"
