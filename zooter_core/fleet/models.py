"""The models of a fleet: each loads on first use, and all threads share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from zooter_core import backends
from zooter_core.backends import Backend
from zooter_core.backends.gguf import choose_backend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Response
from zooter_core.base.weights import has_torch, package_version
from zooter_core.config.candidates import AUTO_BACKEND, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import Fleet, RouterConfig
from zooter_core.config.labelling import ENCODER, EmbeddedConfig, RewardConfig
from zooter_core.data import prices
from zooter_core.fleet.routing import Routing
from zooter_core.labelling import rewards, taggers
from zooter_core.labelling.rewards.scoring import ScoreCache
from zooter_core.router.encoder import Encoders, TextEncoder
from zooter_core.router.router import Router

if TYPE_CHECKING:
    from zooter_core.router.neighbours import Neighbours

Config = TypeVar("Config")
Part = TypeVar("Part")


class FleetModels:
    """The backends, router, tagger and reward model that fleet.toml describes.

    Using a part for which fleet.toml has no table raises a ZooterError.

    Args:
        shared: backends by kind, to which missing ones are added. Fleets that share them load a common model once.
        light: route with 7-bit weights if the encoder has them, and without tags if the tagger would need its own
            encoder.
    """

    def __init__(self, fleet: Fleet, shared: dict[str, Backend] | None = None, light: bool = False) -> None:
        self.fleet, self.light = fleet, light
        self.backends: dict[str, Backend] = {} if shared is None else shared
        self._used: set[str] = set()  # the kinds of backends that know this fleet's candidates
        self._using = threading.Lock()
        for candidate in fleet.candidates:
            if candidate.backend not in (*backends.KINDS, AUTO_BACKEND):  # built-in kinds open on first use
                self.open_backend(candidate.backend)
        self._parts: dict[str, Any] = {}
        self.latest: dict[str, Response] = {}
        self.loads: dict[str, ZooterError | None] = {}
        self.can_rank = fleet.reward is not None
        self._lock = threading.RLock()  # reentrant: the tagger may load the router first
        self._running: list[TextEncoder] = []  # the encoder of this fleet before it changed

    @property
    def router(self) -> Router:
        """The router for the fleet's pool: its own, or a starting router if it has none."""
        return self._part("router", self.fleet, self._open_router)

    @property
    def neighbours(self) -> Neighbours | None:
        """The router's training queries, if its folder has them."""
        config = self.fleet.router
        return self._part("neighbours", config, self._open_neighbours) if config else None

    @property
    def tagger(self) -> taggers.Tagger:
        return self._part("tagger", self.fleet.tagger, lambda c: taggers.tagger(c, self.encoders, self.open_backend))

    @property
    def reward_model(self) -> rewards.RewardModel:
        return self._part("reward", self.fleet.reward, self._load_reward)

    @property
    def agreement(self) -> tuple[int, int]:
        """The number of comparisons in which two judges have agreed, and the number that both have judged."""
        model = self._parts.get("reward")
        return getattr(model, "agreed", 0), getattr(model, "compared", 0)

    @property
    def routing(self) -> Routing:
        """Decides on queries by the router, with the tagger if it is fast enough for every query."""
        router = self.router  # raises if there is none
        weigh = partial(
            prices.weighed, costs=prices.assumed(self.fleet), willingness=prices.find_willingness(self.fleet)
        )
        return self._part("routing", router, lambda _: Routing(router, self._quick_tagger(), self.fleet.pool, weigh))

    @cached_property
    def encoders(self) -> Encoders:
        """Encoders by reference, which load on first use."""
        return Encoders(self.fleet.runtime, self.light, self._running)

    def _open_router(self, fleet: Fleet) -> Router:
        """The router of fleet.toml if it knows all candidates. Otherwise a starting router, with the trained router for
        those that it knows: fleet.toml's, or else open-models."""
        if fleet.router and fleet.router.others == "refuse":
            router = Router.load(fleet.router.path, self.encoders)
            return router.for_pool(fleet.pool, fleet.names_in(router.candidates))
        from zooter_core.fleet import starting  # imported here, since most fleets do not need it

        config = fleet.router or starting.open_models(fleet)
        if config is None:
            return starting.StartingRouter(fleet, self.encoders(ENCODER))
        router = Router.load(config.path, self.encoders)
        names = zip(fleet.pool, fleet.names_in(router.candidates), strict=True)
        part = {name: as_ for name, as_ in names if as_ in router.candidates}
        trained = router.for_pool(tuple(part), tuple(part.values())) if part else None
        if trained and fleet.router and len(part) == len(fleet.pool):
            return trained
        encoder = router.encoder if router.encoder.reference == ENCODER else self.encoders(ENCODER)
        return starting.StartingRouter(fleet, encoder, trained)

    def _open_neighbours(self, config: RouterConfig) -> Neighbours | None:
        from zooter_core.router.neighbours import Neighbours

        neighbours = Neighbours.load(config.path)
        return neighbours and neighbours.for_pool(self.fleet.pool, self.fleet.names_in(neighbours.candidates))

    def _quick_tagger(self) -> taggers.Tagger | None:
        """The tagger, if it is fast enough for every query. A light fleet does not load a second encoder for it."""
        config = self.fleet.tagger
        if config is None or not taggers.is_quick(config):
            return None
        same_encoder = (config.encoder or ENCODER) == self.router.encoder.reference
        return self.tagger if same_encoder or not self.light else None

    def _load_reward(self, config: RewardConfig) -> rewards.RewardModel:
        """On ONNX Runtime if possible, unless candidates need PyTorch anyway or fleet.toml asks for it (`runtime`)."""
        from zooter_core.fleet.reward_graph import open_reward

        model: rewards.RewardModel | None = None
        needs_torch = any(choose_backend(candidate) == TRANSFORMERS for candidate in self.fleet.candidates)
        if not has_torch() or not (needs_torch or self.fleet.runtime == "torch"):
            try:
                model = open_reward(config)
            except ZooterError:
                if not has_torch():
                    raise
        model = model or rewards.reward_model(config, self.open_backend, self._spare)
        if isinstance(config, EmbeddedConfig) and isinstance(model, rewards.Pointwise):
            return rewards.Recomputed(model)
        return model

    def open_backend(self, kind: str) -> Backend:
        """The backend of a kind. A judge with the candidates' base model shares its weights, since it uses this too."""
        if kind not in self._used:
            with self._using:
                if kind not in self.backends:
                    self.backends.setdefault(kind, backends.backend(kind))  # other fleets may share it
                if kind not in self._used:
                    ours = [candidate for candidate in self.fleet.candidates if choose_backend(candidate) == kind]
                    self.backends[kind].expect(ours)
                    self._used.add(kind)
        return self.backends[kind]

    def backend_for(self, candidate: CandidateConfig) -> Backend:
        return self.open_backend(choose_backend(candidate))

    def retain(self, others: Sequence[Fleet] = ()) -> None:
        """Unload models that neither this fleet nor the others still need."""
        needed = [model for fleet in (self.fleet, *others) for model in fleet.language_models]
        for kind, backend in list(self.backends.items()):  # a copy: other fleets may add backends meanwhile
            backend.retain([model for model in needed if choose_backend(model) == kind])

    def _spare(self) -> None:
        for backend in self.backends.values():
            backend.spare()

    def _cache(self) -> ScoreCache | None:
        """The cache of rewards; None if the kind of reward model does not use one."""
        version, config = getattr(self.reward_model, "version", None), self.fleet.reward
        if version is None or config is None:
            return None
        identity = f"{self.fleet.hash_part('reward')} {package_version(config.weights)} {version}"
        return self._part("cache", config, lambda _: ScoreCache(identity))

    def _part(self, name: str, config: Config | None, load: Callable[[Config], Part]) -> Part:
        """A part of the fleet. The first thread that needs the part loads it; the others wait."""
        if config is None:
            raise self.fleet.missing(name)
        if name not in self._parts:  # a loaded part must not wait for one that is loading
            with self._lock:
                if name not in self._parts:
                    self._parts[name] = load(config)
        return self._parts[name]
