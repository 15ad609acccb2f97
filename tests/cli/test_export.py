"""`zooter export` as called; tests/router/test_portable.py has what it writes."""

from __future__ import annotations


def test_a_router_is_not_exported_into_the_folder_of_a_model(refused, fleet_copy):
    call = ("export", "onnx", "--router", fleet_copy / "router", "--out", fleet_copy / "router")
    assert "already holds a model's config.json. Give a new folder" in refused(2, *call, fleet=None)


def test_a_folder_without_a_router(refused, tmp_path):
    message = refused(2, "export", "onnx", "--router", tmp_path, "--out", tmp_path / "out", fleet=None)
    assert "no config.json there. Make one with `zooter distill`" in message
    assert not (tmp_path / "out").exists()
