"""The starting router, for candidates that no router was trained for.

A candidate's skills come from the first available source: a trained router that knows the candidate
(`models/open-models`, or the fleet's own), `skills` in fleet.toml, published figures of its family, or its name and
size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.paths import OPEN_MODELS
from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.base.strict_json import parse_json
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, RouterConfig
from zooter_core.data import prices
from zooter_core.data.run_folder import ROUTER
from zooter_core.fleet.families import published, recognise
from zooter_core.fleet.machine import billions_in
from zooter_core.labelling.skills import SkillHead
from zooter_core.method.skills import by_skill, priors, with_experts
from zooter_core.router.encoder import Array, TextEncoder
from zooter_core.router.router import Router

BY_OWNER, PUBLISHED, GUESS = "fleet.toml", "published figures", "the models' names and sizes"
BY_SCORES, BY_ROUTER = "scores on public test questions", "the fleet's router"

DIGITS = 12  # decimals of a probability
UNKNOWN = 0.6  # the level of a model of unknown size
# Models that are only available as a service have no published size. They count as large unless their name says small.
HOSTED, HOSTED_SMALL = 0.95, 0.85
SERVICES = re.compile(
    r"(?<![a-z0-9])(?:gpt-[4-9]|chatgpt-|o[1-9](?![a-z0-9])|claude|gemini-|grok|deepseek-(?:chat|reasoner|v\d|r\d)"
    r"|(?:mistral|pixtral)-(?:large|medium)|magistral-medium|qwen\d*(?:\.\d+)?-(?:max|plus|turbo|flash)|kimi|command-a"
    r"|sonar|nova-(?:micro|lite|pro|premier)|glm-[4-9]|minimax)"
)
SMALL = re.compile(r"(?<![a-z0-9])(?:mini|nano|micro|small|lite|flash|haiku|fast|turbo|air)(?![a-z0-9])")
SPECIAL, ELSEWHERE = 0.2, -0.1  # what a speciality adds to its own skills and to the others
ADAPTER = re.compile(r"LoRA adapter of (\S+)")  # in the description that `zooter init` writes
WORDS: Mapping[str, tuple[str, ...]] = {
    r"code\w*|coding|\w*coder|starcoder\w*|program\w*|python|javascript|html|functions?": GROUPS["code"],
    r"sql|shell|bash": ("sql-and-shell",),
    r"debug\w*|bugs?": ("debugging",),
    r"math\w*|sums?|arithmetic|percentages?|equations?|algebra|calculat\w*|\w*math": GROUPS["math"],
    r"word problems?": ("word-problems",),
    r"facts?|factual|knowledge|general": GROUPS["knowledge"],
    r"reason\w*|thinking|r1|qwq": ("reasoning", *GROUPS["math"]),
    r"advice|how-to|talk": ("advice",),
    r"stor(?:y|ies)|fiction|creative|roleplay|writ(?:er|ing)": GROUPS["writing"],
    r"poems?|poet\w*|verses?": ("verse",),
    r"e-?mails?|letters?|notes?|toasts?": ("letters",),
    r"translat\w*|multilingual|languages": GROUPS["languages"],
    r"summar\w*": ("summary",),
    r"rewrit\w*|edit\w*|rephras\w*": ("rewriting",),
}


def guess_level(billions: float | None, names: str = "") -> float:
    """The level of a general model by its size: 0.5 at one billion parameters, 0.7 at seven, at most 0.95.

    Args:
        names: the model's names, which tell whether a model without a size is only available as a service.
    """
    if billions is not None:
        return min(0.4 + 0.1 * math.log2(1 + billions), 0.95)
    if not SERVICES.search(names.lower()):
        return UNKNOWN
    return HOSTED_SMALL if SMALL.search(names.lower()) else HOSTED


def guess(text: str, billions: float | None = None) -> dict[str, float]:
    """A model's level in each skill, guessed from its name and description."""
    special = {
        skill
        for pattern, skills in WORDS.items()
        if re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", text.lower())
        for skill in skills
    }
    level = guess_level(billions, text)
    if not special:
        return dict.fromkeys(SKILLS, level)
    return {skill: level + (SPECIAL if skill in special else ELSEWHERE) for skill in SKILLS}


def open_models(fleet: Fleet) -> RouterConfig | None:
    """The router for well-known open models, if it knows two or more of the candidates."""
    if not OPEN_MODELS.is_dir():
        return None
    pool = parse_json((OPEN_MODELS / ROUTER / "config.json").read_text(encoding="utf-8"))["candidates"]
    return RouterConfig(str(OPEN_MODELS / ROUTER)) if len(set(fleet.routed_as) & set(pool)) >= 2 else None


def make_profile(candidate: CandidateConfig) -> tuple[dict[str, float], str]:
    """A candidate's level in each skill, and its main source.

    A LoRA adapter has its base model's levels, adjusted by its own name and description.
    """
    names = f"{candidate.name} {candidate.model}"
    size = billions_in(f"{candidate.description} {names}")
    base = ADAPTER.search(candidate.description)
    family = recognise(base[1] if base else candidate.model, size)
    billions = (family.parameters if family else None) or size
    levels, source = guess(f"{names} {ADAPTER.sub('', candidate.description)}", billions), GUESS
    if family and (figures := published(family)):
        if base:
            general = guess_level(billions)
            figures = {skill: figure + (levels[skill] - general) for skill, figure in figures.items()}
        levels, source = levels | figures, PUBLISHED
    if candidate.skills:
        levels, source = levels | by_skill(candidate.skills), BY_OWNER
    return levels, source


class StartingRouter(Router):
    """Routes by the candidates' profiles. A trained router decides among the candidates that it knows.

    Attributes:
        sources: candidate -> the source of its profile.
        levels: each candidate's level in each skill, shape (candidates, skills).
    """

    def __init__(self, fleet: Fleet, encoder: TextEncoder, trained: Router | None = None) -> None:
        self.candidates, self.encoder, self._trained = fleet.pool, encoder, trained
        self._head = SkillHead.load()
        trained_by = BY_ROUTER if fleet.router else BY_SCORES
        by_candidate = [make_profile(candidate) for candidate in fleet.candidates]
        self.levels = np.array([[levels[skill] for skill in SKILLS] for levels, _ in by_candidate])
        self._priors = priors(self.levels)
        members = trained.candidates if trained else ()
        self.sources = {
            name: trained_by if name in members else source
            for name, (_, source) in zip(fleet.pool, by_candidate, strict=True)
        }
        sources = " and ".join(dict.fromkeys(self.sources.values()))
        weighed = prices.describe_weighing(fleet)
        self.note = f"A starting router chooses until there is a trained one. It uses {sources}." + (
            f" {weighed}" if weighed else ""
        )
        self._members = [fleet.pool.index(name) for name in members]

    def probabilities_at(self, queries: Sequence[str], vectors: Array) -> NDArray[np.float64]:
        # Rounding errors differ between the columns of a matrix product, but equal models must stay equal (`Decision`).
        probabilities = np.round(self._head.probabilities(self.encoder.sentence(vectors)) @ self._priors, DIGITS)
        trained = self._trained
        if trained is None:
            return probabilities
        shared = trained.encoder is self.encoder
        experts = trained.probabilities_at(queries, vectors) if shared else trained.probabilities(queries)
        return with_experts(probabilities, self._members, experts)
