from __future__ import annotations

import json

import pytest

from support.scripted_backend import ScriptedBackend
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Query, Tag
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import GivenConfig, InstagConfig
from zooter_core.labelling.taggers import tagger
from zooter_core.labelling.taggers.instag import read_tags
from zooter_core.router.encoder import Encoders

ENCODERS = Encoders()
CANDIDATE = CandidateConfig("instagger", "scripted", "OFA-Sys/InsTagger")
TAGS_JSON = '[{"tag": "Arithmetic", "explanation": "a sum"}, {"tag": "word  problem", "explanation": "in words"}]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TAGS_JSON, ["arithmetic", "word problem"]),
        (f"Sure!\n```json\n{TAGS_JSON}\n```\nDone.", ["arithmetic", "word problem"]),
        ('{"tag": "math", "explanation": "x"}', ["math"]),
        ('{"tag": "math", "explanation": "x"}, {"tag": "code", "explanation": "y"}]', ["math", "code"]),
        ('[{"tag": "math", "explanation": "x"}, {"tag": "code", "explanation": "it bre', ["math", "code"]),
        ('[{"tag": "math", "explanation": "x"}, {"tag": "co', ["math"]),
        ("[{'tag': 'math', 'explanation': 'x'}, {'tag': 'code'}]", ["math", "code"]),
        ('[{"tag": "math", "explanation": "says "two" twice"}, {"tag": "code"}]', ["math", "code"]),
        ('[{"tag": "math",}, {"tag": "code",},]', ["math", "code"]),
        ('{"tags": ["math", "code"]}', ["math", "code"]), ('["math", "code"]', ["math", "code"]),
        ('[{"tag": "math"}, {"tag": "Math "}, {"tag": ""}, {"tag": 3}, {"tag": null}]', ["math"]),
        ('[{"tag": "' + "a long sentence " * 9 + '"}, {"tag": "math"}]', ["math"]),
        ('[{"tag": "caf\\u00e9"}]', ["café"]), ('[{"tag": "数学"}]', ["数学"]), ("I cannot help with that.", []),
        ("[" * 5000, []), ("", []),
    ],
)  # fmt: skip
def test_tags_are_read_also_from_broken_json(text, expected):
    assert read_tags(text) == expected


def scripted(write, **options):
    backend = ScriptedBackend(lambda request, _: write(request.messages[-1].content))
    return tagger(InstagConfig(instagger=CANDIDATE, **options), ENCODERS, lambda kind: backend), backend


def test_the_prompt_is_the_published_one_inside_vicunas():
    """Letter by letter, as InsTagger was trained."""
    tagging, backend = scripted(lambda text: TAGS_JSON)
    tagging.tag(["What is {query}?"])
    ((request, generation),) = backend.requests
    prompt = request.candidate.prompt_template.replace("{query}", request.messages[-1].content)
    assert prompt == (
        "<s>A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the human's questions. USER: Please identify tags of user intentions in the "
        "following user query and provide an explanation for each tag. Please respond in the JSON format "
        '{"tag": str, "explanation": str}.\nUser query: What is {query}? ASSISTANT:'
    )
    assert generation.temperature == 0
    assert len(request.messages) == 1


def test_each_query_has_its_own_tags():
    tagging, _ = scripted(lambda text: json.dumps([{"tag": text[-1]}, {"tag": "all"}]))
    queries = [f"query {n}" for n in "abcdefghijklmnopqrstuvwxyz"]
    assert tagging.tag(queries) == [(Tag(n, 1.0), Tag("all", 1.0)) for n in "abcdefghijklmnopqrstuvwxyz"]
    assert tagging.tag_all([Query("1", "x", tags=("old",))]) == [(Tag("x", 1.0), Tag("all", 1.0))]


def test_at_most_so_many_and_none_where_there_is_none():
    tagging, _ = scripted(
        lambda text: json.dumps([{"tag": str(n)} for n in range(9)]) if "many" in text else "Hm.", most=3
    )
    assert [len(tags) for tags in tagging.tag(["many", "few"])] == [3, 0]


def test_a_model_that_fails_is_an_error():
    tagging, _ = scripted(lambda text: ValueError("no room") if "b" in text[-1] else TAGS_JSON)
    with pytest.raises(WorkError, match=r"tags from the tagger, but found no room"):
        tagging.tag(["a", "b"])


def test_a_query_that_is_too_long_has_no_tags(tiny_fleet):
    candidate = load_fleet(tiny_fleet).candidate("base")
    config = InstagConfig(instagger=candidate)
    tagging = tagger(config, ENCODERS, lambda kind: TransformersBackend())
    assert tagging.tag(["Why? " * 400, "Hi"]) == [(), ()]  # random words are no JSON
    with pytest.raises(WorkError, match=r"more than the 511 that fit.*\[tagger.instagger\]"):
        tagging.tag(["Why? " * 400] * 4)


def test_tags_of_the_file():
    tagging = tagger(GivenConfig(), ENCODERS)
    queries = [Query("1", "a", tags=("x", "y", "x")), Query("2", "b")]
    assert tagging.tag_all(queries) == [(Tag("x", 1.0), Tag("y", 1.0)), ()]
    assert tagging.tag(["a"]) == [()]
