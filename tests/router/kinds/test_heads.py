"""Every router kind, on a problem that each can solve: three clear groups of queries, a candidate for each."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from support.damaged_models import change_config, put_number
from support.three_groups import GROUPS, NEW, VECTORS
from support.three_groups import TABLE as SCORES
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.gone import GONE
from zooter_core.method.labels import enhance, softmax, tag_priors
from zooter_core.router.distill import learn
from zooter_core.router.encoder import Encoders
from zooter_core.router.head import RouterHead, RouterHeadConfig
from zooter_core.router.kinds import KINDS, DistillConfig, configure
from zooter_core.router.router import DistilledRouter, Router

POOL = ("a", "b", "c")


@cache
def fitted(kind: str) -> RouterHead:
    """One head for all tests that only look at it."""
    return fit(kind)


def fit(kind: str, order=(0, 1, 2), seed: int = 0, scores: np.ndarray = SCORES) -> RouterHead:
    scores = scores[:, order]
    pool = [POOL[place] for place in order]
    config = configure(kind, {"epochs": 60, "rate": 1e-2} if kind in TRAINED else {}, seed)
    tags = [(f"group {group}",) for group in GROUPS]
    labels = enhance(softmax(scores, 0.2), tags, tag_priors(softmax(scores, 0.2), tags), 1.0)
    return learn(VECTORS, labels, pool, "none", config, scores=scores)


TRAINED = ("auto", "zooter")
CLOSED = ("kmeans", "profile", "bayes")
every = pytest.mark.parametrize("kind", KINDS)


def test_the_kinds_are_those_tested_here():
    assert sorted(KINDS) == sorted(TRAINED + CLOSED)


@every
def test_it_chooses_the_candidate_of_the_group(kind):
    assert fitted(kind).logits(NEW).argmax(axis=-1).tolist() == [0, 1, 2]
    nothing = fitted(kind).logits(np.zeros((4, 6), dtype=np.float32))
    assert (nothing.shape, np.isfinite(nothing).all()) == ((4, 3), True)


@every
def test_it_learns_from_two_scores_a_query(kind):
    """In every group each candidate lacks its score on a third of the queries."""
    gaps = SCORES.copy()
    gaps[np.arange(60), np.arange(60) // 3 % 3] = np.nan
    head = fit(kind, scores=gaps)
    assert head.logits(NEW).argmax(axis=-1).tolist() == [0, 1, 2]
    assert np.isfinite(head.logits(VECTORS)).all()


@every
def test_another_pool_order_gives_the_same_choices(kind):
    """Kinds with a closed form give the same logits, in that order."""
    logits = fit(kind, (2, 0, 1)).logits(NEW)
    assert logits.argmax(axis=-1).tolist() == [1, 2, 0]
    if kind in CLOSED:
        assert np.allclose(logits, fitted(kind).logits(NEW)[:, [2, 0, 1]], atol=1e-6)


@every
def test_a_seed_fixes_the_head_and_the_callers_random_numbers_stay(kind):
    first = fitted(kind).logits(NEW)
    torch.rand(5)
    before, others = torch.get_rng_state(), np.random.get_state()[1].tolist()
    again = fit(kind)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == others
    assert np.array_equal(again.logits(NEW), first)


@every
def test_it_routes_text_also_saved_and_loaded(kind, tiny_encoder, tmp_path):
    queries = [f"Add up {n} apples" for n in range(8)] + [f"Write about the sea {n}" for n in range(8)]
    scores = np.array([[1.0, 0.0]] * 8 + [[0.0, 1.0]] * 8)
    config = configure(kind, {"epochs": 2} if kind in TRAINED else {})
    vectors, pool = tiny_encoder.embed(queries), ["math", "writer"]
    head = learn(vectors, softmax(scores), pool, tiny_encoder.reference, config, scores=scores)
    router = DistilledRouter(head, tiny_encoder)
    router.save(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"config.json", "model.safetensors"}  # and no encoder's weights
    loaded = Router.load(tmp_path, Encoders())
    assert (loaded.candidates, loaded.head.config.kind) == (("math", "writer"), kind)
    assert np.array_equal(loaded.head.logits(vectors), head.logits(vectors))
    probabilities = loaded.probabilities(queries)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(16))
    assert probabilities == pytest.approx(router.probabilities(queries), abs=1e-5)


@every
def test_one_query_and_one_candidate_are_enough(kind):
    head = learn(VECTORS[:1], np.ones((1, 1)), ["a"], "none", configure(kind), scores=SCORES[:1, :1])
    assert np.isfinite(head.logits(NEW)).all()


def test_labels_stand_in_for_scores():
    config, labels = configure("kmeans"), softmax(SCORES, 0.2)
    same = learn(VECTORS, labels, POOL, "none", config, scores=labels).logits(NEW)
    assert np.array_equal(learn(VECTORS, labels, POOL, "none", config).logits(NEW), same)


def test_progress_has_the_epochs_of_trained_kinds_and_their_losses():
    steps: list[tuple[int, float]] = []
    for kind in set(KINDS) - {"auto"}:
        config = configure(kind, {"epochs": 20, "rate": 1e-2} if kind in TRAINED else {})
        learn(VECTORS, softmax(SCORES), POOL, "none", config, lambda *step: steps.append(step), SCORES)
    assert [epoch for epoch, _ in steps] == list(range(1, 21))
    assert steps[-1][1] < 0.5 * steps[0][1]


# Settings


def test_a_kind_has_its_own_defaults_and_takes_others():
    assert configure("zooter", {"epochs": 7}, seed=3) == DistillConfig(seed=3, epochs=7, extra={"members": 4})
    config = configure("zooter", {"rate": 0.01, "members": 2.0})
    assert (config.kind, config.rate, config.extra["members"]) == ("zooter", 0.01, 2)
    assert isinstance(config.extra["members"], int)
    assert configure("kmeans").extra == {"clusters": 32}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("kmeans", {"epochs": 5}, 'a setting of the router kind kmeans, but found "epochs". Known: clusters'),
        ("profile", {"prior": float("nan")}, "prior as a number above 0"),
        ("zooter", {"dropout": 1}, "dropout as a number from 0 to below 1"),
        ("zooter", {"decay": -1}, "decay as a number of at least 0"),
    ],
)
def test_wrong_settings_are_refused(kind, settings, message):
    with pytest.raises(ZooterError) as caught:
        configure(kind, settings)
    assert message in str(caught.value)


# Router folders


def test_a_folder_of_a_kind_that_is_gone_says_what_to_do(tmp_path):
    """Whether it is the router's own kind, or that of a part."""
    fitted("kmeans").save(tmp_path)
    parts = {"parts": [{"kind": "knn", "settings": {}}], "share": 1.0}
    for changes in ({"kind": "knn"}, {"kind": "auto", "settings": parts}):
        change_config(tmp_path, **changes)
        with pytest.raises(ZooterError) as caught:
            Router.load(tmp_path, Encoders())
        assert str(caught.value) == f"`router kind knn` was removed: {GONE['router kind knn']}"


def test_a_folder_of_the_kind_ridge_is_read_and_cannot_be_trained(tmp_path, tiny_encoder):
    """`zooter learn` writes such folders, and `zooter distill` of version 0.2 did."""
    width = 2 * tiny_encoder.width
    head = RouterHead(RouterHeadConfig(POOL, tiny_encoder.reference, width, "ridge"))
    head.set_state({"weight": np.eye(width, 3, dtype=np.float32), "bias": np.array([0, 0, 9], dtype=np.float32)})
    head.save(tmp_path)
    assert Router.load(tmp_path, Encoders()).route(["Hello"])[0].candidate == "c"
    with pytest.raises(ZooterError, match="`router kind ridge` was removed: use the default"):
        configure("ridge")


@every
def test_a_weight_that_is_not_finite_never_routes(tmp_path, kind, tiny_encoder):
    """Whichever it is, also where a head would hide it from most queries; the file is named."""
    fitted(kind).save(tmp_path)
    change_config(tmp_path, encoder=tiny_encoder.reference)
    complete = (tmp_path / "model.safetensors").read_bytes()
    for number, weight in enumerate(load_file(tmp_path / "model.safetensors")):
        put_number(tmp_path, float("inf") if number % 2 else float("nan"), weight)
        with pytest.raises(
            WorkError, match=f"a whole router in {tmp_path}.*NaN or infinity in its weights \\({weight}"
        ):
            Router.load(tmp_path, Encoders())
        (tmp_path / "model.safetensors").write_bytes(complete)


@pytest.mark.parametrize("kind", TRAINED)
def test_a_training_that_does_not_converge_is_one_clear_error(kind):
    config = configure(kind, {"epochs": 20, "rate": 1e30})
    with pytest.raises(WorkError, match=r"a training of the router kind \w+ that converges.*--router-set rate"):
        learn(VECTORS, softmax(SCORES, 0.2), POOL, "none", config, scores=SCORES)
