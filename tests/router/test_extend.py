"""A candidate more, or one less: on a problem with three clear groups of queries, a candidate for each."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from support.three_groups import ANY, CENTRES, EXAMPLES, PLAIN, SCORES, TABLE, VECTORS, old
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.method import labels
from zooter_core.method.calibration import log_loss
from zooter_core.method.labels import LabelConfig, normalise, softmax
from zooter_core.method.metrics import win_shares
from zooter_core.router.distilled import DistilledRouter, RouterHead
from zooter_core.router.encoder import Encoders
from zooter_core.router.extend import ABLE, FEWEST, Examples, extend, matched, regress, save, without
from zooter_core.router.finetune import finetune
from zooter_core.router.kinds import KINDS, DistillConfig
from zooter_core.router.neighbours import RECORDS
from zooter_core.router.router import Router

able = pytest.mark.parametrize("kind", ABLE)
every = pytest.mark.parametrize("kind", KINDS)


def test_the_regression_worked_by_hand():
    """Two queries, one input: sigmoid(u) is their shares where nothing is punished, so u is their log odds."""
    inputs, shares = np.array([[1.0], [-1.0]]), np.array([0.8, 0.2])
    weight, bias = regress(inputs, shares, np.zeros(2), 1e-9)
    assert (weight[0], bias) == (pytest.approx(np.log(4), abs=1e-3), pytest.approx(0, abs=1e-3))
    weight, bias = regress(inputs + 5, shares, np.full(2, 3.0), 1e-9)  # elsewhere, and the others' logits 3 higher
    assert weight[0] * 6 + bias == pytest.approx(np.log(4) + 3, abs=1e-2)


def test_a_large_penalty_leaves_the_mean_share():
    weight, bias = regress(VECTORS.astype(float), np.linspace(0.1, 0.3, 60), np.zeros(60), 1e9)
    assert np.abs(weight).max() < 1e-6
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(0.2, abs=1e-4)


def test_it_is_the_distillation_loss_that_is_least():
    """KL(label || softmax(old logits, u)) over the wider pool rises whichever way the column is moved."""
    rng = np.random.default_rng(3)
    inputs, logits, wanted = rng.normal(size=(40, 2)), rng.normal(size=(40, 3)), rng.dirichlet(np.ones(4), size=40)
    weight, bias = regress(inputs, wanted[:, -1], np.logaddexp.reduce(logits, axis=1), 1e-9)

    def loss(weight, bias):
        wide = np.column_stack([logits, inputs @ weight + bias])
        return labels.kl(wanted, softmax(wide)).mean()

    least = loss(weight, bias)
    for moved in ([0.1, 0.0], [-0.1, 0.0], [0.0, 0.1], [0.0, -0.1]):
        assert loss(weight + moved, bias) > least
    assert min(loss(weight, bias + 0.1), loss(weight, bias - 0.1)) > least


def test_the_old_logits_stay_to_the_bit():
    """So no choice among the old candidates changes, on 2,000 random queries, though there are four members."""
    head, wider = old(), extend(old(), EXAMPLES).head
    assert wider.config.candidates == ["a", "b", "c"]
    assert np.array_equal(wider.logits(ANY)[:, :2], head.logits(ANY))
    assert 0 < (wider.logits(ANY).argmax(axis=1) == 2).mean() < 1


def test_the_members_know_the_new_candidate():
    """Their mean is the router's distribution still, and each is one over the pool as it is when another is out."""
    wider = extend(old(), EXAMPLES).head
    outputs = wider.outputs(ANY)
    assert outputs.members.mean(axis=0) == pytest.approx(softmax(wider.logits(ANY)), abs=1e-6)
    changed = without(wider, "a").outputs(CENTRES).members  # as many candidates as at first
    assert changed.shape == (4, 3, 2)
    assert changed.sum(axis=-1) == pytest.approx(np.ones((4, 3)))
    assert changed[:, 1:].argmax(axis=-1).tolist() == [[0, 1]] * 4


@able
def test_the_new_candidate_is_chosen_where_it_is_best(kind):
    head, wider = old(kind), extend(old(kind), EXAMPLES).head
    assert wider.logits(CENTRES).argmax(axis=1).tolist() == [0, 1, 2]
    assert wider.logits(ANY)[:, :2] == pytest.approx(head.logits(ANY), abs=1e-6)


@able
def test_vectors_may_be_in_half_precision(kind):
    """As those of many queries are (`TextEncoder.embed_all`)."""
    half = extend(old(kind), replace(EXAMPLES, vectors=VECTORS.astype(np.float16))).head
    assert half.logits(CENTRES.astype(np.float16)).argmax(axis=1).tolist() == [0, 1, 2]


def test_samples_of_many_queries_are_enough(monkeypatch):
    monkeypatch.setattr("zooter_core.router.extend.MOST_TRIED", 40)
    monkeypatch.setattr("zooter_core.router.extend.MOST_LEARNED", 50)
    learned: list[int] = []

    def counted(inputs, *rest):
        learned.append(len(inputs))
        return regress(inputs, *rest)

    monkeypatch.setattr("zooter_core.router.extend.regress", counted)
    wider = extend(old(), EXAMPLES).head
    assert learned == [32] * 20 + [50], "five folds for each of four penalties, and the last fit"
    assert wider.logits(CENTRES).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_sample_keeps_what_belongs_together():
    tags = [(f"tag {n}",) for n in range(60)]
    part = replace(EXAMPLES, tags=tags).sample(20, seed=3)
    rows = [int(query.id) for query in part.scores.queries]
    assert rows == sorted(set(rows))
    assert len(rows) == 20
    assert list(part.tags) == [tags[row] for row in rows]
    assert np.array_equal(part.vectors, VECTORS[rows])
    assert np.array_equal(part.scores.scores, TABLE[rows])
    assert EXAMPLES.sample(60, seed=3) is EXAMPLES


def test_the_pool_order_of_the_files_does_not_matter():
    shuffled = Scores(SCORES.queries, ("c", "b", "other", "a"), TABLE[:, [2, 1, 0, 0]])
    again = matched(shuffled, ("a", "b"), "c")
    assert again.candidates == ("a", "b", "c")
    assert np.array_equal(again.scores, TABLE)


def test_a_seed_fixes_it_and_the_callers_random_numbers_stay():
    before = np.random.get_state()[1].tolist()
    first, second = (extend(old(), EXAMPLES).head.logits(ANY) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.random.get_state()[1].tolist() == before


def test_the_penalty_grows_with_the_noise():
    rng = np.random.default_rng(5)
    noise = Examples(replace(SCORES, scores=rng.normal(size=TABLE.shape)), VECTORS, [()] * 60, PLAIN)
    assert extend(old(), noise).penalty > extend(old(), EXAMPLES).penalty


def test_the_temperature_is_found_anew():
    """Scores that have nothing to do with the queries: the old router's sharp distribution has to become flat."""
    random = replace(SCORES, scores=np.random.default_rng(6).normal(size=TABLE.shape))
    twice = Examples(random, VECTORS, [()] * 60, PLAIN).subset([*range(60)] * 2)
    wider = extend(old(), twice).head
    assert wider.config.calibration_temperature > 2
    assert extend(old(), EXAMPLES.subset([*range(60)] * 2)).head.config.calibration_temperature < 1
    logits, wins = wider.logits(VECTORS), win_shares(random.scores)
    assert log_loss(logits, wins, wider.config.calibration_temperature) < log_loss(logits, wins, 1.0)


def test_few_queries_leave_the_temperature():
    head = old()
    head.config.calibration_temperature = 1.5
    assert extend(head, EXAMPLES).head.config.calibration_temperature == 1.5


def test_labels_are_on_the_old_candidates_scale():
    """A newcomer who is far above changes its own share alone: the old ones' shares of the rest stay."""
    config = LabelConfig(beta=1.0, tau=0.3, normalise="spread")
    far = np.column_stack([TABLE[:, :2], TABLE[:, 1] + 2])
    wide = Examples(replace(SCORES, scores=far), VECTORS, [()] * 60, config).labels()[:, :2]
    alone = softmax(normalise(TABLE[:, :2], "spread", SCORES.datasets), 0.3)
    assert wide / wide.sum(axis=1, keepdims=True) == pytest.approx(alone)


def test_tag_priors_count():
    examples = replace(EXAMPLES, tags=[("all",)] * 60, config=replace(PLAIN, beta=0.0))
    assert examples.labels() == pytest.approx(np.tile(examples.labels().mean(axis=0), (60, 1)))


# Taking out


@able
def test_taking_out_what_was_added_gives_the_old_head_again(kind):
    head = old(kind)
    back = without(extend(head, EXAMPLES).head, "c")
    assert (back.config.candidates, back.config.settings) == (head.config.candidates, head.config.settings)
    assert list(back.body.state) == list(head.body.state)
    assert all(np.array_equal(value, head.body.state[name]) for name, value in back.body.state.items())


@every
def test_the_others_stay_as_they_are(kind):
    head = old(kind, "abc")
    rest = without(head, "b")
    assert rest.config.candidates == ["a", "c"]
    assert rest.logits(ANY) == pytest.approx(head.logits(ANY)[:, [0, 2]], abs=1e-6)
    assert head.config.candidates == ["a", "b", "c"]


def test_one_out_two_in_and_one_of_them_out(tmp_path, tiny_encoder):
    """Through files each time, as the command does."""
    head = old("zooter", "abc")
    expected = head.logits(ANY)
    for step, name in enumerate(["-b", "+d", "+b", "-d", "-a"]):
        if name[0] == "-":
            head = without(head, name[1])
        else:
            pool = (*head.config.candidates, name[1])
            table = np.column_stack([TABLE[:, ["abcd".index(other) % 3 for other in pool]]])
            head = extend(head, Examples(Scores(SCORES.queries, pool, table), VECTORS, [()] * 60, PLAIN)).head
        save(DistilledRouter(head, tiny_encoder), tmp_path / str(step), {"step": step})
        head = RouterHead.load(tmp_path / str(step))
        for column, name in enumerate("ac"):
            if name in head.config.candidates and step < 4:
                assert np.array_equal(head.logits(ANY)[:, head.config.candidates.index(name)], expected[:, 2 * column])
    assert head.config.candidates == ["c", "b"]
    assert head.config.settings["pool"] == {"added": 1, "out": [0, 1]}
    assert head.logits(CENTRES)[1:].argmax(axis=1).tolist() == [1, 0]
    assert json.loads((tmp_path / "4" / "report.json").read_text()) == {"step": 4}


def test_none_of_that_name_and_the_last_one():
    with pytest.raises(ZooterError, match=r'a candidate of the router.*"d"'):
        without(old(), "d")
    with pytest.raises(ZooterError, match="b is the router's only candidate"):
        without(without(old(), "a"), "b")


# What the files must hold


@pytest.mark.parametrize(
    ("scores", "candidate", "message"),
    [
        (SCORES, "a", r'does not have \(a, b\), but found "a".*--without'),
        (SCORES, "d", "scores of d in the files, but found only a, b, c"),
        (replace(SCORES, candidates=("a", "x", "new one")), "newone", 'Did you mean "new one"'),
        (replace(SCORES, candidates=("a", "x", "c")), "c", r"\(a, b\), but found none of b"),
        (SCORES.subset(range(FEWEST - 1)), "c", f"at least {FEWEST} queries with scores, but found {FEWEST - 1}"),
    ],
)
def test_files_that_will_not_do(scores, candidate, message):
    with pytest.raises(ZooterError, match=message):
        matched(scores, ("a", "b"), candidate)


def test_a_folder_that_cannot_be_made(tmp_path, tiny_encoder):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a folder to write"):
        save(DistilledRouter(old(), tiny_encoder), tmp_path / "file" / "router", {})


def test_a_router_with_an_encoder_of_its_own_keeps_it(tmp_path, tiny_encoder):
    texts = [f"Add up {n} apples" for n in range(12)] + [f"Write about the sea {n}" for n in range(12)]
    table = np.array([[1.0, 0.0, 0.5]] * 12 + [[0.0, 1.0, 0.5]] * 12)
    config = DistillConfig(epochs=1, finetune="last")
    vectors = tiny_encoder.embed(texts)
    router = finetune(texts, vectors, softmax(table[:, :2]), ["a", "b"], tiny_encoder, config)
    scores = Scores(tuple(Query(str(n), text) for n, text in enumerate(texts)), ("a", "b", "c"), table)
    wider = extend(router.head, Examples(scores, router.encoder.embed(texts), [()] * 24, PLAIN)).head
    (tmp_path / "wider").mkdir()
    (tmp_path / "wider" / RECORDS).write_text("{}")  # left there by a router of another pool
    save(DistilledRouter(wider, router.encoder), tmp_path / "wider", {})
    assert not (tmp_path / "wider" / RECORDS).exists()
    loaded = Router.load(tmp_path / "wider", Encoders())
    assert loaded.candidates == ("a", "b", "c")
    assert loaded.outputs(texts).members.shape == (4, 24, 3)
    old_pair = router.probabilities(texts).argmax(axis=1)
    assert loaded.probabilities(texts)[:, :2].argmax(axis=1).tolist() == old_pair.tolist()
