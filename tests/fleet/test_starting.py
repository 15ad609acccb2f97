"""Routing before training: by what a fleet says of its models, by published figures, by names."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.skills import GROUPS, SKILLS
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.edit import add_candidates, change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.data import prices
from zooter_core.fleet import starting
from zooter_core.fleet.connect import connect
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import average_shares, starter_queries
from zooter_core.router.router import Router

DESCRIPTIONS = {candidate.name: candidate.description for candidate in load_fleet(EMBEDDED_FLEET).candidates}


def fleet_of(folder: Path, *names: str, **more: object) -> Path:
    keys = {"backend": "openai", "model": "m", "base_url": "http://localhost:1/v1", **more}
    add_candidates(folder, [{"name": name, **keys} for name in names])
    return folder


def candidate(**keys: object) -> CandidateConfig:
    return CandidateConfig(**{"name": "a", "backend": "transformers", "model": "some/model", **keys})  # type: ignore[arg-type]


def test_size_decides_among_general_models():
    sizes = [None, 0.135, 1, 7, 70, 1000]
    levels = [starting.guess_level(size) for size in sizes]
    assert levels[1:] == sorted(levels[1:])
    np.testing.assert_allclose(levels[2:4], [0.5, 0.7])
    assert levels[-1] == 0.95


@pytest.mark.parametrize(
    ("models", "level"),
    [
        ("gpt-5 openai/gpt-4.1 o3 chatgpt-4o-latest claude-opus-4-1 google/gemini-2.5-pro x-ai/grok-4", 0.95),
        ("deepseek-chat mistral-large-latest moonshotai/kimi-k2 z-ai/glm-4.6 qwen3-max", 0.95),
        ("gpt-5-mini gpt-4.1-nano o4-mini claude-haiku-4-5 gemini-2.5-flash gemini-flash-lite grok-4-fast", 0.85),
        ("my-model foo3 marco-o10 llama-guard", 0.6),
    ],
)
def test_models_of_services_are_large(models, level):
    for model in models.split():
        assert starting.make_profile(candidate(model=model))[0]["facts"] == level, model
    assert starting.make_profile(candidate(model=f"{models.split()[0]}-distilled-7b"))[0]["facts"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("keys", "best"),
    [
        ({"name": "deepseek-coder"}, "code"),
        ({"name": "a", "model": "owner/MathModel-7B"}, "math"),
        ({"name": "a", "description": "Poems, stories and e-mails"}, "writing"),
        ({"name": "a", "description": "Translates between all languages"}, "languages"),
    ],
)
def test_a_name_or_description_says_what_a_model_is_for(keys, best):
    levels, source = starting.make_profile(candidate(**keys))
    assert source == starting.GUESS
    assert set(levels) == set(SKILLS)
    special = {skill for skill in SKILLS if levels[skill] > np.mean(list(levels.values()))}
    assert special & set(GROUPS[best])
    assert not special & set(GROUPS["math" if best == "code" else "code"])


def test_what_the_owner_writes_and_published_figures_go_before_a_guess():
    levels, source = starting.make_profile(candidate(name="coder", skills={"math": 0.9, "code": 0.1}))
    assert source == starting.BY_OWNER
    assert (levels["algebra"], levels["debugging"]) == (0.9, 0.1)
    levels, source = starting.make_profile(candidate(model="Qwen/Qwen2.5-Coder-7B-Instruct"))
    assert source == starting.PUBLISHED
    assert levels["programming"] > levels["facts"]


@pytest.mark.parametrize("base", ["Qwen/Qwen2.5-7B-Instruct", "my-org/base-7b"])
def test_an_adapter_has_the_levels_of_its_base_but_for_what_its_name_says(base):
    on_base = {"backend": "openai", "description": f"LoRA adapter of {base}"}
    levels, source = starting.make_profile(candidate(name="base", model=base, backend="openai"))
    assert starting.make_profile(candidate(name="v2", model="v2", **on_base)) == (levels, source)
    math, _ = starting.make_profile(candidate(name="math", model="math", **on_base))
    better = {skill for skill in SKILLS if math[skill] > levels[skill]}
    assert better == set(GROUPS["math"])
    described = f"LoRA adapter of {base}. Poems."
    verse, _ = starting.make_profile(candidate(name="v2", model="v2", backend="openai", description=described))
    assert {skill for skill in SKILLS if verse[skill] > levels[skill]} == {"verse"}


def test_a_fleet_without_a_router_routes(tmp_path):
    folder = fleet_of(tmp_path, *DESCRIPTIONS)
    for name, description in DESCRIPTIONS.items():
        change_candidate(folder, name, {"description": description})
    ensemble = Ensemble(load_fleet(folder))
    assert "starting router" in ensemble.router.note
    lines = [json.loads(line) for line in (ROOT / "tests/data/evident_queries.jsonl").read_text().splitlines()]
    decisions = ensemble.route_all([line["query"] for line in lines])
    right = [decision.candidate == line["candidate"] for decision, line in zip(decisions, lines, strict=True)]
    assert np.mean(right) >= 0.7  # measured: benchmarks/your_models.py
    assert all(abs(sum(decision.probabilities.values()) - 1) < 1e-9 for decision in decisions)
    explanation = ensemble.explain(decisions[0])
    assert explanation.pieces
    assert explanation.neighbours == []
    shares = average_shares(ensemble.router)
    assert max(shares, key=lambda name: shares[name]["math"]) == "math"


def test_of_equal_models_the_first_answers(tmp_path):
    ensemble = Ensemble(load_fleet(fleet_of(tmp_path, "a", "b", "c")))
    lines = (ROOT / "tests/data/evident_queries.jsonl").read_text().splitlines()
    assert {ensemble.route(json.loads(line)["query"]).candidate for line in lines} == {"a"}


HOSTED = "http://models.example/v1"
GEMMA = {"gemma-3-27b-it": 0.2, "gemma-3-12b-it": 0.1, "gemma-3-4b-it": 0.04}


def test_prices_count_before_training(tmp_path):
    """Published figures put the largest model first on every query, often only just."""
    folder = tmp_path
    for name, price in GEMMA.items():
        fleet_of(folder, name, model=name, base_url=HOSTED, usd_per_million_tokens=price)
    queries = [query.text for query in starter_queries(True)][::5]

    def share_of_dearest() -> float:
        ensemble = Ensemble(load_fleet(folder))
        assert ("[router] willingness" in ensemble.router.note) == (prices.find_willingness(ensemble.fleet) > 0)
        decisions = ensemble.route_all(queries)
        assert decisions[0] == ensemble.route(queries[0])
        return float(np.mean([decision.candidate == "gemma-3-27b-it" for decision in decisions]))

    assert 0.5 < share_of_dearest() < 0.8
    set_table(folder, "router", {"willingness": 0.0})
    assert share_of_dearest() == 1.0
    set_table(folder, "router", {"willingness": 1.0})
    assert share_of_dearest() < 0.1


def test_of_equal_models_the_cheapest_answers(tmp_path):
    for name, price in {"dear": 8.0, "middling": 1.6, "cheap": 0.4}.items():
        fleet_of(tmp_path, name, base_url=HOSTED, usd_per_million_tokens=price)
    ensemble = Ensemble(load_fleet(tmp_path))
    decision = ensemble.route("Hello")
    assert (decision.candidate, decision.order) == ("cheap", ("cheap", "middling", "dear"))
    assert ensemble.select("Hello").candidates == ("cheap",)
    equal = ensemble.route("Hello", 0)  # who says 0 ignores prices
    assert (equal.candidate, equal.probabilities) == ("dear", pytest.approx(dict.fromkeys(equal.probabilities, 1 / 3)))


def test_candidates_that_a_router_does_not_know_get_a_profile_if_the_fleet_says_so(tmp_path):
    text = (EMBEDDED_FLEET / "fleet.toml").read_text(encoding="utf-8")
    folder = EMBEDDED_FLEET.as_posix()
    for key in ("router", "reward", "tags.json", *(f"adapters/{name}" for name in DESCRIPTIONS)):
        text = text.replace(f'= "{key}"', f'= "{folder}/{key}"')
    (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
    keys = {"name": "polyglot", "backend": "openai", "model": "m", "base_url": "http://localhost:1/v1"}
    add_candidates(tmp_path, [keys | {"description": "Translates between languages"}])
    with pytest.raises(Exception, match="polyglot"):
        _ = Ensemble(load_fleet(tmp_path)).router
    path = tmp_path / "fleet.toml"
    path.write_text(path.read_text().replace("[router]", '[router]\nothers = "profile"', 1), encoding="utf-8")
    mixed, trained = (Ensemble(replace(load_fleet(folder), tagger=None)) for folder in (tmp_path, EMBEDDED_FLEET))
    assert mixed.router.note
    query = "What is 12 * 7?"
    p, r = mixed.route(query).probabilities, trained.route(query).probabilities
    for name in DESCRIPTIONS:  # what the router's candidates get together is shared as the router says
        np.testing.assert_allclose(p[name], (1 - p["polyglot"]) * r[name], atol=1e-6)
    why = mixed.explain(replace(mixed.route(query), candidate="polyglot"))  # whom no training query knows
    assert (why.candidate, why.tags) == ("polyglot", [])
    assert set(why.neighbours[0].label) == set(DESCRIPTIONS)


def test_a_name_without_a_size_has_that_of_its_server(tmp_path):
    url = "http://localhost:11434/v1"
    sizes = {"llama3.2:latest": 3.21, "poet": 70.0}  # as Ollama says
    connect(tmp_path, [Model("openai", one, "on Ollama", billions=size, base_url=url) for one, size in sizes.items()])
    llama, poet = load_fleet(tmp_path).candidates
    assert starting.make_profile(llama) == starting.make_profile(replace(llama, model="llama3.2:3b", description=""))
    assert starting.make_profile(llama)[1] == starting.PUBLISHED
    assert starting.make_profile(poet)[0] == starting.guess("poet", 70.0)


def test_known_open_models_are_routed_by_their_scores(tmp_path):
    """Two that models/open-models knows share what profiles give both as its router says; the third keeps its own."""
    url = "http://localhost:11434/v1"
    names = {"llama3.1:latest": "llama-3.1-8b-instruct", "qwen2.5:7b": "qwen2.5-7b-instruct"}
    sizes = {"llama3.1:latest": 8.03}  # as Ollama says
    models = (*names, "poet:3b")
    connect(tmp_path, [Model("openai", one, "on Ollama", billions=sizes.get(one), base_url=url) for one in models])
    fleet = load_fleet(tmp_path)
    assert fleet.routed_as == (*names.values(), "poet-3b")
    router = Ensemble(fleet).router
    assert isinstance(router, starting.StartingRouter)
    assert list(router.sources.values()) == [starting.BY_SCORES] * 2 + [starting.GUESS]
    query = ["Solve 3x + 4 = 19 for x."]
    mixed = router.probabilities(query)[0]
    alone = starting.StartingRouter(fleet, router.encoder).probabilities(query)[0]
    trained = Router.load(starting.open_models(fleet).path).for_pool(tuple(names.values())).probabilities(query)[0]
    np.testing.assert_allclose(mixed, [*(alone[:2].sum() * trained), alone[2]], atol=1e-6)
    for _ in range(2):  # the second time from the store of vectors
        np.testing.assert_allclose(router.probabilities_all(query)[0], mixed, atol=1e-5)


def test_a_fleet_opens_without_the_client_of_servers():
    """aiohttp takes a while to load: it must not where no server is asked."""
    code = "import sys; sys.modules['aiohttp'] = None; import zooter_core.fleet.ensemble, zooter_core.pipeline.exam"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
