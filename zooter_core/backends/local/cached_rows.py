"""The tokens of the rows that are generated together, and the cache of what the model has read of them.

All rows have one length: padding stands on a row's left, or behind the tokens that all rows share. It is masked, so it
changes nothing. Rows leave when they end, and others join.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


@dataclass
class CachedRows:
    """Rows of tokens.

    Attributes:
        ids, mask: shape (rows, length); the mask is 0 where there is padding.
        adapters: the adapter of each row.
        cache: what the model has read of their first tokens; None if it has read nothing.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    adapters: list[str]
    cache: DynamicCache | None = None

    def keep(self, places: Sequence[int]) -> None:
        """Drop the other rows, and the columns that are now padding in all rows."""
        assert self.cache is not None
        self.adapters = [self.adapters[place] for place in places]
        self.ids, self.mask = self.ids[places], self.mask[places]
        self.cache.batch_select_indices(torch.tensor(places))
        columns = self.mask.any(dim=0)
        if not keeps_all(self.cache) or columns.all():
            return
        self.ids, self.mask = self.ids[:, columns], self.mask[:, columns]
        read = columns[: self.cache.get_seq_length()]
        for layer in self.cache.layers:
            layer.keys = layer.keys[:, :, read.to(layer.keys.device)]
            layer.values = layer.values[:, :, read.to(layer.values.device)]

    def join(self, others: CachedRows) -> None:
        """Add rows behind these. Of both, the model has read all but the last token, and the caches keep all."""
        assert self.cache is not None
        assert others.cache is not None
        length = max(self.ids.shape[1], others.ids.shape[1])
        self.ids, self.mask = (
            torch.cat([pad(part, (length - part.shape[1], 0)) for part in parts])
            for parts in ((self.ids, others.ids), (self.mask, others.mask))
        )
        self.adapters = [*self.adapters, *others.adapters]
        for layer, other in zip(self.cache.layers, others.cache.layers, strict=True):
            layer.keys, layer.values = (
                torch.cat([pad(part, (0, 0, length - 1 - part.shape[2], 0)) for part in parts])
                for parts in ((layer.keys, other.keys), (layer.values, other.values))
            )


def keeps_all(cache: DynamicCache | None) -> bool:
    """Whether a cache keeps every token by itself in all layers, so that padding can be added and removed."""
    return cache is not None and all(type(layer) is DynamicLayer for layer in cache.layers)
