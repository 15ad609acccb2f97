from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from support.read_stream import read
from zooter_core.backends import Request
from zooter_core.backends.local.decoding import Rows
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.errors import WorkError, ZooterError
from zooter_core.records import Message

POOL = ("base", "one", "two")
GREEDY = GenerationConfig(max_new_tokens=12, temperature=0.0)
SAMPLED = GenerationConfig(max_new_tokens=12, temperature=0.9)
LONG = GenerationConfig(max_new_tokens=400, temperature=0.0)
ASK = (Message("user", "What is the sea?"),)
QUESTIONS = ("What is the sea?", "Add up 7 apples", "Why?", "List 12 + 30", "Explain the sea", "a list in Python")


@pytest.fixture(scope="module")
def backend() -> TransformersBackend:
    return TransformersBackend()


@pytest.fixture(scope="module")
def candidates(tiny_fleet: Path):
    return {candidate.name: candidate for candidate in load_fleet(tiny_fleet).candidates}


def stream(backend, candidates, generation=GREEDY, messages=ASK, stop=None):
    """Texts of the pieces and the response of each request."""
    requests = [Request(candidate, messages) for candidate in candidates]
    return read(backend.stream(requests, generation, stop or threading.Event()), requests)


def answers(backend, candidates, generation=GREEDY, messages=ASK) -> list[str]:
    responses = stream(backend, candidates, generation, messages)[1]
    assert [response.error for response in responses] == [None] * len(responses)
    return [response.text for response in responses]


def generating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "generate"]


def damaged(folder: Path, *adapters: str):
    for name in adapters:
        file = folder / "adapters" / name / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:100])
    return load_fleet(folder).candidates


def test_a_mixed_batch_gives_each_request_one_response(backend, candidates):
    _, responses = stream(backend, [candidates[name] for name in ("two", "base", "one", "base")])
    assert [response.candidate for response in responses] == ["two", "base", "one", "base"]
    for response in responses:
        assert (response.finish, response.error, response.tokens) == ("length", None, 12)
        assert 0 < response.first_token_seconds < response.seconds
        assert response.text


def test_pieces_join_to_the_response(backend, candidates):
    texts, responses = stream(backend, candidates.values(), SAMPLED)
    assert [text.strip() for text in texts] == [response.text for response in responses]


def test_greedy_generation_is_deterministic(backend, candidates):
    assert answers(backend, candidates.values()) == answers(backend, candidates.values())


def test_adapters_answer_differently(backend, candidates):
    assert len(set(answers(backend, candidates.values()))) == len(POOL)


def test_a_mixed_batch_equals_each_candidate_alone(backend, candidates):
    alone = [answers(backend, [candidates[name]])[0] for name in POOL]
    assert answers(backend, candidates.values()) == alone


def test_a_candidate_does_not_depend_on_who_was_loaded_before(candidates):
    alone = {name: answers(TransformersBackend(), [candidates[name]])[0] for name in POOL}
    late = TransformersBackend()
    assert {name: answers(late, [candidates[name]])[0] for name in reversed(POOL)} == alone


def test_queries_of_different_length_in_a_batch_equal_each_alone(backend, candidates):
    queries = ["Hi", "Write a long story about the sea, the ships and the people on them.", "12 + 30 = ?"]
    requests = [Request(candidates["one"], (Message("user", query),)) for query in queries]
    alone = [answers(backend, [candidates["one"]], messages=request.messages)[0] for request in requests]
    _, responses = read(backend.stream(requests, GREEDY, threading.Event()), requests)
    assert [response.text for response in responses] == alone


def test_a_seed_fixes_what_is_sampled(backend, candidates):
    first = answers(backend, candidates.values(), SAMPLED)
    torch.rand(3)
    assert answers(backend, candidates.values(), SAMPLED) == first
    assert answers(backend, candidates.values(), replace(SAMPLED, seed=1)) != first


def test_sampling_leaves_the_callers_random_numbers_alone(backend, candidates):
    before = torch.get_rng_state()
    answers(backend, candidates.values(), SAMPLED)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_at_once_get_what_each_gets_alone(backend, candidates):
    alone = {name: answers(backend, [candidates[name]])[0] for name in ("one", "two")}
    texts: dict[str, list[str]] = {"one": [], "two": []}

    def ask(name):
        texts[name] += [answers(backend, [candidates[name]])[0] for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {name: [text] * 5 for name, text in alone.items()}


def test_a_conversation_is_more_than_its_last_message(backend, candidates):
    talk = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello!"), *ASK)
    assert answers(backend, [candidates["base"]], messages=talk) != answers(backend, [candidates["base"]])


def test_stop_set_before_the_start_ends_after_one_token(backend, candidates):
    stop = threading.Event()
    stop.set()
    _, responses = stream(backend, candidates.values(), LONG, stop=stop)
    assert [(response.finish, response.tokens) for response in responses] == [("stopped", 1)] * 3


def test_stop_ends_all_with_the_text_that_has_come(backend, candidates):
    stop = threading.Event()
    requests = [Request(candidate, ASK) for candidate in candidates.values()]
    pieces = backend.stream(requests, LONG, stop)
    first = next(pieces)
    stop.set()
    texts, responses = read([first, *pieces], requests)
    assert [response.finish for response in responses] == ["stopped"] * 3
    assert [response.text for response in responses] == [text.strip() for text in texts]
    assert all(response.tokens < 400 for response in responses)


def test_abandoned_generation_ends_early_and_with_it_its_thread(backend, candidates, monkeypatch):
    steps, put = [], Rows.put

    def counted(rows, tokens):
        steps.append(tokens)
        put(rows, tokens)

    monkeypatch.setattr(Rows, "put", counted)
    pieces = backend.stream([Request(candidates["base"], ASK)], LONG, threading.Event())
    next(pieces)
    assert generating()
    pieces.close()
    assert not generating()
    assert len(steps) < LONG.max_new_tokens
    assert answers(backend, [candidates["base"]])[0]


def test_a_turn_ends_at_every_token_that_the_model_names(fleet_copy):
    """The fourth token of the greedy answer becomes an end of turn in the generation settings."""
    base = load_fleet(fleet_copy).candidate("base")
    backend = TransformersBackend()
    text = answers(backend, [base], replace(GREEDY, max_new_tokens=3))[0]
    tokenizer = AutoTokenizer.from_pretrained(base.model)
    three = tokenizer(text, add_special_tokens=False)["input_ids"]
    four = tokenizer(answers(backend, [base], replace(GREEDY, max_new_tokens=4))[0], add_special_tokens=False)
    settings = fleet_copy / "base" / "generation_config.json"
    change = json.loads(settings.read_text()) | {"eos_token_id": [tokenizer.eos_token_id, four["input_ids"][-1]]}
    settings.write_text(json.dumps(change))
    (response,) = stream(TransformersBackend(), [base])[1]
    assert (response.finish, response.tokens, response.text) == ("stop", len(three) + 1, text)


def test_prompt_template_takes_the_place_of_the_chat_template(backend, candidates):
    def with_template(template):
        return [replace(candidates["base"], prompt_template=template)]

    chatml = "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n"
    talk = (Message("user", "Hi"), Message("assistant", "Hello!"), *ASK)
    plain = answers(backend, [candidates["base"]])
    assert answers(backend, with_template(chatml)) == plain
    assert answers(backend, with_template(chatml), messages=talk) == plain  # the last message alone
    assert answers(backend, with_template("Q: {query}\nA:")) != plain


def test_model_without_a_chat_template_asks_for_a_prompt_template(fleet_copy):
    (fleet_copy / "base" / "chat_template.jinja").unlink()
    base = load_fleet(fleet_copy).candidate("base")
    backend = TransformersBackend()
    (failed,) = stream(backend, [base])[1]
    assert failed.finish == "error"
    assert "prompt_template" in str(failed.error)
    assert answers(backend, [replace(base, prompt_template="Q: {query}")])[0]


def test_prompt_longer_than_the_model_is_an_error_of_that_request(backend, candidates):
    (response,) = stream(backend, [candidates["base"]], messages=(Message("user", "a" * 2000),))[1]
    assert (response.finish, response.text) == ("refused", "")
    assert "more than the 511 that fit" in str(response.error)


def test_generation_ends_where_the_model_does(backend, candidates):
    """A prompt near the end of the 512 positions leaves room for a few tokens only."""
    prompt = replace(candidates["base"], prompt_template="!" * 500)
    (response,) = stream(backend, [prompt], LONG)[1]
    assert (response.finish, response.tokens) == ("length", 12)


@pytest.mark.parametrize("order", [1, -1])
def test_a_prompt_near_the_end_of_the_model_cuts_no_other_answer_short(backend, candidates, order):
    pool = [candidates["base"], *(replace(candidates["base"], prompt_template="!" * n) for n in (500, 505))][::order]
    alone = [stream(backend, [candidate], LONG)[1][0] for candidate in pool]
    _, responses = stream(backend, pool, LONG)
    assert [(r.finish, r.tokens, r.text) for r in responses] == [(r.finish, r.tokens, r.text) for r in alone]
    assert sorted(r.tokens for r in responses)[:2] == [7, 12] < [max(r.tokens for r in responses)]


@pytest.mark.parametrize("broken", ["one", "two"])
@pytest.mark.parametrize("order", [POOL, POOL[::-1]])
def test_a_corrupt_adapter_fails_alone(fleet_copy, backend, candidates, broken, order):
    expected = dict(zip(POOL, answers(backend, candidates.values()), strict=True))
    pool = {candidate.name: candidate for candidate in damaged(fleet_copy, broken)}
    fresh = TransformersBackend()
    for _ in range(2):
        _, responses = stream(fresh, [pool[name] for name in order])
        for response in responses:
            if response.candidate == broken:
                assert response.finish == "error"
                assert f"a LoRA adapter for {broken}" in str(response.error)
            else:
                assert (response.error, response.text) == (None, expected[response.candidate])


def test_the_base_is_itself_when_no_adapter_loads(fleet_copy, backend, candidates):
    expected = answers(backend, [candidates["base"]])[0]
    _, (base, *failed) = stream(TransformersBackend(), damaged(fleet_copy, "one", "two"))
    assert [response.finish for response in failed] == ["error", "error"]
    assert base.text == expected


@pytest.mark.parametrize("name", ["v1.5", "train", "中文"])
def test_any_name_may_have_an_adapter(backend, candidates, name):
    expected = answers(backend, [candidates["one"]])
    assert answers(TransformersBackend(), [replace(candidates["one"], name=name)]) == expected


def test_missing_model_is_an_error_of_each_of_its_candidates(tmp_path, backend, candidates):
    gone = replace(candidates["base"], name="gone", model=str(tmp_path / "none"))
    _, responses = stream(backend, [gone, candidates["one"], replace(gone, name="gone too")])
    assert [response.finish for response in responses] == ["error", "length", "error"]
    assert f"a causal language model at {tmp_path / 'none'}" in str(responses[0].error)


def test_load_raises_what_stream_tells(fleet_copy):
    one = damaged(fleet_copy, "one")[1]
    with pytest.raises(WorkError, match="a LoRA adapter for one"):
        TransformersBackend().load(one)


@pytest.mark.parametrize("dtype", ["bfloat17", "nn", "__name__"])
def test_unknown_dtype_is_refused(backend, candidates, dtype):
    with pytest.raises(ZooterError, match="a torch dtype"):
        backend.load(replace(candidates["base"], dtype=dtype))


def test_a_repetition_penalty_counts_for_its_candidate_alone(backend, candidates):
    """Untrained models go in circles; with a penalty that lets nothing come twice, no token of the answer does."""
    never = replace(candidates["base"], repetition_penalty=1e9)
    plain, other, mended = answers(backend, [candidates["base"], candidates["one"], never])
    assert [plain, other] == answers(backend, [candidates["base"], candidates["one"]])
    assert mended != plain
    tokens = AutoTokenizer.from_pretrained(never.model).encode(mended, add_special_tokens=False)
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    "names", [("base", "base", "base"), ("one", "one"), ("one", "base", "one", "two", "base", "base")]
)
def test_requests_that_repeat_are_answered_as_each_alone(backend, candidates, names):
    """Repeats are read in once; greedy answers must not change by that."""
    alone = {name: answers(backend, [candidates[name]])[0] for name in set(names)}
    assert answers(backend, [candidates[name] for name in names]) == [alone[name] for name in names]


def test_repeats_are_sampled_each_on_its_own(backend, candidates):
    texts = answers(backend, [candidates["base"]] * 6, SAMPLED)
    assert len(set(texts)) > 1


def test_repeats_of_several_prompts_of_different_length(backend, candidates):
    asks = [ASK, (Message("user", "Add up 7 apples and 12 pears, then explain it."),)]
    requests = [Request(candidates["one"], ask) for ask in (*asks, *asks)]
    _, responses = read(backend.stream(requests, GREEDY, threading.Event()), requests)
    alone = [answers(backend, [candidates["one"]], messages=ask)[0] for ask in asks]
    assert [response.text for response in responses] == alone * 2


def test_rows_that_end_leave_the_batch_and_change_nothing_for_the_others(backend, candidates, monkeypatch):
    """Some likely tokens end a turn here, so that the rows end at different times."""
    alone = [answers(backend, [candidates["base"]], replace(LONG, max_new_tokens=60), (Message("user", text),))[0]
             for text in QUESTIONS]  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(candidates["base"].model)
    common = {tokenizer(text, add_special_tokens=False)["input_ids"][20] for text in alone}
    monkeypatch.setattr(Base, "ends", common)
    fresh = TransformersBackend()
    pool = [candidates[name] for name in ("base", "one", "base", "two", "base", "one")]
    requests = [Request(candidate, (Message("user", text),)) for candidate, text in zip(pool, QUESTIONS, strict=True)]
    generation = replace(LONG, max_new_tokens=60)
    wanted = [stream(fresh, [r.candidate], generation, r.messages)[1][0] for r in requests]
    _, responses = read(fresh.stream(requests, generation, threading.Event()), requests)
    assert len({response.tokens for response in wanted}) > 2
    assert [(response.text, response.tokens, response.finish) for response in responses] == [
        (response.text, response.tokens, response.finish) for response in wanted
    ]
