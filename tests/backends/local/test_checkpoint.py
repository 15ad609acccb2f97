from __future__ import annotations

import pytest
import torch

from zooter_core.backends.local.checkpoint import fast_bfloat16


@pytest.mark.parametrize(("vector", "matrix"), [(False, False), (True, False), (False, True), (True, True)])
def test_bfloat16_is_fast_where_vectors_or_matrices_of_it_are_multiplied(monkeypatch, vector, matrix):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vector)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: matrix)
    assert fast_bfloat16() == (vector or matrix)
