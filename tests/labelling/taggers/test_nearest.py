from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from support import tiny_models
from zooter_core.base.errors import ZooterError
from zooter_core.config.labelling import NearestConfig
from zooter_core.labelling.taggers import tagger
from zooter_core.router.encoder import Encoders

ENCODERS = Encoders()


@pytest.fixture
def config(tiny_fleet: Path) -> NearestConfig:
    return NearestConfig(str(tiny_fleet / "tags.json"), encoder=str(tiny_fleet / "encoder"), threshold=0.4, most=4)


def names(config, *queries):
    return [[tag.name for tag in tags] for tags in tagger(config, ENCODERS).tag(queries)]


def test_scores_are_in_order_and_near_the_best(config):
    for tags in tagger(config, ENCODERS).tag(tiny_models.QUERIES):
        scores = [tag.score for tag in tags]
        assert scores == sorted(scores, reverse=True)
        assert all(score >= 0.96 * scores[0] - 1e-6 and score >= 0.4 for score in scores)


def test_the_score_of_a_tag_with_one_text_is_a_cosine_and_more_texts_nearby_count_more(config, tmp_path):
    encoder = ENCODERS(config.encoder)
    texts = ["one: a", "two: a", "two of them"]
    entries = [
        {"name": "one", "description": "a", "phrasings": []},
        {"name": "two", "description": "a", "phrasings": ["two of them"]},
    ]
    path = tmp_path / "two.json"
    path.write_text(json.dumps({"tags": entries}))
    everything = replace(config, vocabulary=str(path), threshold=-1.0)
    nearest = tagger(everything, ENCODERS)
    nearest.CLOSE = -9.0
    (tags,) = nearest.tag(["a query"])
    query, *rows = encoder.sentence(encoder.embed(["a query", *texts]))
    cosine = [float(query @ row) for row in rows]
    soft = 0.12 * math.log(sum(math.exp(c / 0.12) for c in cosine[1:]) / math.sqrt(2))
    assert {tag.name: tag.score for tag in tags} == pytest.approx({"one": cosine[0], "two": min(soft, 1)}, abs=1e-5)


def test_threshold_leaves_a_query_without_tags_and_most_limits_their_number(config):
    strict = replace(config, threshold=0.9)
    assert names(strict, "Write about the sea", "xyzzy plugh") == [["writing"], []]
    assert max(len(tags) for tags in names(config, *tiny_models.QUERIES)) > 1
    assert max(len(tags) for tags in names(replace(config, most=1), *tiny_models.QUERIES)) == 1


@pytest.mark.parametrize(
    "content",
    ["", '{"tags": []}', '{"tags": [{"name": "math", "description": "sums"}]}'],
)
def test_wrong_vocabulary_is_one_clear_error(config, tmp_path, content):
    path = tmp_path / "tags.json"
    if content:  # else there is no file
        path.write_text(content)
    with pytest.raises(ZooterError) as caught:
        tagger(replace(config, vocabulary=str(path)), ENCODERS)
    assert str(path) in str(caught.value)
