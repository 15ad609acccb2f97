"""A router's head as a model of PyTorch and transformers, which loads a router's folder by `AutoModel`.

Fine-tuning trains it and an export traces it. Its equation is the head's own (kinds/), on tensors in place of arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from zooter_core.router.head import MODEL_TYPE, RouterHead, RouterHeadConfig
from zooter_core.router.kinds.base import Head


class HeadModule(torch.nn.Module):
    """A head whose state are parameters, under the same names.

    Vectors of shape (batch, width) -> logits of shape (batch, candidates).
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.plain = head
        for name, value in head.state.items():
            *path, last = name.split(".")
            place: torch.nn.Module = self
            for step in path:
                if step not in dict(place.named_children()):
                    place.add_module(step, torch.nn.Module())
                place = place.get_submodule(step)
            place.register_parameter(last, torch.nn.Parameter(torch.zeros(value.shape)))

    @classmethod
    def of(cls, head: Head) -> HeadModule:
        """A module with a copy of the head's state."""
        module = cls(head)
        module.load_state_dict({name: torch.tensor(value) for name, value in head.state.items()})
        return module.eval()

    def on_tensors(self) -> Head:
        """The head, on this module's parameters; with dropout while the module is in training."""
        return self.plain.on(dict(self.named_parameters()), self._drop if self.training else None)

    def _drop(self, states: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(states, getattr(self.plain, "dropout", 0.0))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.on_tensors().logits(vectors)
        return logits

    def members(self, vectors: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of each member, shape (members, batch, candidates)."""
        logs: Any = self.on_tensors().members(vectors)
        return logs

    def state_arrays(self) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
        """The parameters as the state of a head."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.named_parameters()}


class RouterModelConfig(PretrainedConfig):
    """config.json, as transformers reads it; the fields are those of `RouterHeadConfig`."""

    model_type = MODEL_TYPE

    def __init__(self, **fields: Any) -> None:
        defaults = vars(RouterHeadConfig())
        super().__init__(**{name: value for name, value in fields.items() if name not in defaults})
        for name, default in defaults.items():
            setattr(self, name, fields.get(name, default))


class RouterModel(PreTrainedModel):
    """Vectors of shape (batch, width) -> logits of shape (batch, candidates)."""

    config_class = RouterModelConfig
    base_model_prefix = "head"

    def __init__(self, config: RouterModelConfig) -> None:
        super().__init__(config)
        plain = RouterHeadConfig(**{name: getattr(config, name) for name in vars(RouterHeadConfig())})
        self.body = HeadModule(RouterHead(plain).body)
        self.post_init()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(vectors)
        return logits


AutoConfig.register(MODEL_TYPE, RouterModelConfig)
AutoModel.register(RouterModelConfig, RouterModel)
