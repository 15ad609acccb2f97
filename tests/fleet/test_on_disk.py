"""Weights on the disk: files of every kind, damaged ones, and too many of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.gguf_models import write_model
from support.scripted_server import serving
from support.thinking_servers import TEMPLATE
from zooter_core.fleet import discovery, on_disk
from zooter_core.fleet.discovery import discover
from zooter_core.fleet.on_disk import models_in


def write_folder(folder: Path, **config: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **config}))
    (folder / "model.safetensors").write_bytes(b"0" * 1000)


def damage(kind: str, path: Path) -> None:
    """Make a file that nobody should read to its end, or wait for."""
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a file of zeros":
        path.write_bytes(b"GGUF\x03\0\0\0\x02" if path.suffix == ".gguf" else b"{")  # two tensors of one name
        os.truncate(path, 1 << 42)
    elif kind == "no number":
        path.write_text('{"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 1e999}')
    else:
        path.write_text('{"layers": ' + "[" * 100_000)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a file of zeros", "no number", "deep lists"])
def test_a_damaged_file_is_passed_over_with_a_line_and_the_others_are_listed(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(discovery, "usual_addresses", list)
    monkeypatch.setattr(discovery, "usual_folders", list)
    places = [tmp_path / "x.gguf", tmp_path / "folder" / "config.json"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        damage(kind, place)
    (tmp_path / "folder" / "model.safetensors").write_bytes(b"0")
    write_model(tmp_path / "y.gguf")
    write_folder(tmp_path / "good", max_position_embeddings=10**400)
    result = discover(folders=[tmp_path])
    assert [(model.name, model.abilities.context_tokens) for model in result.models] == [("good", None), ("y", 512)]
    assert sorted(note.split(" is skipped: ")[0] for note in result.passed_over) == sorted(map(str, places))


@pytest.mark.parametrize("name", ["a\n[[candidate]]", "a\x1b[2J", b"\xff".decode("utf-8", "surrogateescape")])
def test_a_file_whose_name_is_none_is_passed_over(tmp_path, name):
    folder = tmp_path / name
    write_folder(folder)
    write_model(tmp_path / f"{name}.gguf")
    write_model(tmp_path / "good.gguf")
    notes: list[str] = []
    assert [model.name for model in on_disk.models_in(tmp_path, notes.append)] == ["good"]
    assert len(notes) == 2
    assert all(note.isprintable() and "in its name; skipped" in note for note in notes)


@pytest.mark.parametrize(("bound", "value"), [("MOST_FILES", 3), ("MOST_MODELS", 2)])
def test_a_folder_is_looked_at_within_bounds(tmp_path, monkeypatch, bound, value):
    for number in range(4):
        write_folder(tmp_path / str(number))
    monkeypatch.setattr(on_disk, bound, value)
    notes: list[str] = []
    assert len(on_disk.models_in(tmp_path, notes.append)) <= value
    (note,) = notes
    assert f" {value} " in note


def test_weights_on_disk(tmp_path):
    (tmp_path / "a").mkdir()
    write_model(tmp_path / "a" / "tiny-Q4_0.gguf")
    (tmp_path / "a" / "broken.gguf").write_bytes(b"GGUF??")
    write_folder(tmp_path / "hub" / "models--org--Tiny-1B" / "snapshots" / "abc", max_position_embeddings=512)
    write_folder(tmp_path / "encoder", architectures=["BertModel"])
    write_folder(tmp_path / "odd", architectures=5)
    (tmp_path / "loop").symlink_to(tmp_path)
    small, hub = sorted(on_disk.models_in(tmp_path), key=lambda model: model.backend)
    assert (small.backend, small.name, small.quantisation) == ("gguf", "tiny", "Q4_0")
    assert (hub.backend, hub.model, hub.facts) == ("transformers", "org/Tiny-1B", "1B, 0.0 GB, 512 tokens")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("chat_template.jinja", TEMPLATE),
        *(("tokenizer_config.json", json.dumps(config)) for config in (
            {"chat_template": TEMPLATE},
            {"chat_template": [{"name": "default", "template": TEMPLATE}]},
            {"added_tokens_decoder": {"1": {"content": "<think>"}}},
        )),
        ("tokenizer_config.json", "[" * 100_000),
    ],
)  # fmt: skip
def test_a_folder_of_a_model_that_thinks(tmp_path, file, content):
    write_folder(tmp_path / "good")
    (tmp_path / "good" / file).write_text(content)
    (model,) = models_in(tmp_path)
    assert model.keys().get("thinking") == ("auto" if "enable_thinking" in content else None)


def test_a_gguf_file_that_can_think_is_told_how(tmp_path):
    write_model(tmp_path / "a.gguf", chat_template=TEMPLATE)
    write_model(tmp_path / "b.gguf")
    thinks, plain = models_in(tmp_path)
    assert "thinks" in thinks.facts
    assert "thinking = true" in thinks.keys()["comment"]
    assert "think" not in plain.facts + plain.keys()["comment"]
    assert "thinking" not in thinks.keys() | plain.keys()  # llama.cpp does not by itself


def test_where_ollama_has_models_and_does_not_run_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "usual_addresses", list)
    monkeypatch.setattr(discovery, "usual_folders", list)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    assert discover().passed_over == ()
    (tmp_path / "manifests").mkdir()
    assert discover().passed_over == (f"Start Ollama to use its models in {tmp_path}.",)
    with serving() as server:
        server.routes = {"/api/tags": {"models": []}, "/api/show": {"capabilities": ["completion"]}}
        assert discover({server.url: None}).passed_over == ()


def test_a_usual_folder_that_cannot_be_looked_into_is_left_out(monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", f"/{'a' * 300}")  # as one without permission, which root always has
    assert all(len(place.name) < 300 for place in on_disk.usual_folders())
