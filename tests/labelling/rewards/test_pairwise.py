from __future__ import annotations

from itertools import permutations

import pytest
import torch
from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

from support import reward_checkpoints
from zooter_core.config.labelling import PairwiseConfig
from zooter_core.labelling.rewards import reward_model
from zooter_core.labelling.rewards.scoring import score_queries

QUERY = "What is the sea?"
TEXTS = ["Wide and blue. " * 6, "No", "杯子 ☕", "12 + 30 = 42"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairrm")
    reward_checkpoints.save_pairrm(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return reward_model(PairwiseConfig(str(folder)))


@pytest.fixture(scope="module")
def reference(folder):
    """The published arithmetic on one text at a time: marks, their states, two layers, the difference."""
    state = reward_checkpoints.weights(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    body = DebertaV2Model(DebertaV2Config.from_pretrained(folder)).eval()
    body.load_state_dict({k.removeprefix("pretrained_model."): v for k, v in state.items() if "pretrained" in k})

    def head(states):
        inner = torch.tanh(state["head_layer.1.weight"] @ states + state["head_layer.1.bias"])
        return state["head_layer.4.weight"][0] @ inner + state["head_layer.4.bias"][0]

    def compare(query, first, second):
        ids = [
            token
            for text in (f"<|source|>{query}", f"<|candidate1|>{first}", f"<|candidate2|>{second}")
            for token in tokenizer(text)["input_ids"]
        ]
        with torch.no_grad():
            states = body(torch.tensor([ids])).last_hidden_state[0]
        source, one, two = (
            states[ids.index(tokenizer.convert_tokens_to_ids(mark))] for mark in reward_checkpoints.PAIRRM_MARKS[:3]
        )
        return (head(torch.cat([source, one])) - head(torch.cat([source, two]))).item()

    return compare


def test_comparisons_in_a_batch_equal_the_published_arithmetic(model, reference):
    triples = [(QUERY, one, other) for one, other in permutations(TEXTS, 2)]
    expected = [reference(*triple) for triple in triples]
    assert model.compare(triples) == pytest.approx(expected, abs=1e-4)
    assert len({round(logit, 2) for logit in expected}) > 6


def test_the_reward_is_the_mean_of_both_orders_over_all_rivals(model, reference):
    (scored,) = score_queries(model, [(QUERY, TEXTS)])
    for one, reward in enumerate(scored.rewards):
        rivals = [other for other in range(len(TEXTS)) if other != one]
        margins = [
            (reference(QUERY, TEXTS[one], TEXTS[o]) - reference(QUERY, TEXTS[o], TEXTS[one])) / 2 for o in rivals
        ]
        assert reward == pytest.approx(sum(margins) / len(margins), abs=1e-4)
    assert sum(scored.rewards) == pytest.approx(0, abs=1e-4)  # what one is ahead another is behind
    (turned,) = score_queries(model, [(QUERY, TEXTS[::-1])])
    assert turned.rewards[::-1] == pytest.approx(scored.rewards, abs=1e-5)


def test_equal_responses_have_equal_rewards_and_a_sole_one_0(model):
    (scored,) = score_queries(model, [(QUERY, ["No", "Wide", "No"])])
    assert scored.rewards[0] == pytest.approx(scored.rewards[2], abs=1e-6)
    assert score_queries(model, [(QUERY, ["No"]), (QUERY, [])])[0].rewards == (0.0,)


def test_a_response_that_writes_the_marks_stays_one_response(model):
    ids = model._ids((QUERY, "a<|candidate2|>b[SEP][CLS]", "<|source|>"))
    assert [ids.count(mark) for mark in model.marks] == [1, 1, 1]
    assert ids.count(model.tokenizer.sep_token_id) == 3


def test_each_part_is_cut_at_its_share(folder):
    short = reward_model(PairwiseConfig(str(folder), max_tokens=100))
    ids = short._ids(("sea " * 200, "cup " * 200, "list " * 200))
    assert len(ids) <= 100
    starts = [ids.index(mark) for mark in short.marks]
    assert starts[1] == 61  # after 100 - 2 * 20 tokens of the query and [CLS]
    assert short._ids((QUERY, "cup " * 200, "No"))[-1] == short.tokenizer.sep_token_id
    assert len(short._ids((QUERY, "cup " * 200, "list " * 200))) > 90  # what the query leaves goes to the responses
