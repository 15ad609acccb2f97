"""What this machine's processor can do."""

from __future__ import annotations

import torch


def fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; one that does not is up to forty times slower at it."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
