"""Families of open models: their names in every spelling, and published figures as skills."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.paths import FAMILIES, OPEN_MODELS
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.families import OF_SKILLS, Family, published, recognise, thinks

TABLE = {entry["name"]: entry for entry in tomllib.loads(FAMILIES.read_text(encoding="utf-8"))["family"]}
# The router's name of each of the nine models: how Ollama, the hub, a GGUF file and vLLM name it.
NINE = {
    "llama-3.1-8b-instruct": """llama3.1:8b llama3.1:8b-instruct-q4_K_M meta-llama/Llama-3.1-8B-Instruct
        meta-llama/Meta-Llama-3.1-8B-Instruct hub.example/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M""",
    "qwen2.5-7b-instruct": """qwen2.5:7b qwen2.5:7b-instruct-q8_0 Qwen/Qwen2.5-7B-Instruct
        qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf""",
    "gemma-2-9b-it": "gemma2:9b gemma2:9b-instruct-q4_0 google/gemma-2-9b-it",
    "mistral-7b-instruct-v0.3": """mistral:7b mistral:latest mistral:7b-instruct-v0.3-q4_K_M
        mistralai/Mistral-7B-Instruct-v0.3 Mistral-7B-Instruct-v0.3-Q5_K_S.gguf""",
    "codegemma-7b": "codegemma:7b codegemma:7b-instruct google/codegemma-7b-it",
    "llama3-chatqa-1.5-8b": "llama3-chatqa:8b nvidia/Llama3-ChatQA-1.5-8B",
    "llama3-chatqa-1.5-70b": "llama3-chatqa:70b nvidia/Llama3-ChatQA-1.5-70B",
    "llama-3.1-nemotron-51b-instruct": """nvidia/Llama-3_1-Nemotron-51B-Instruct nvidia/llama-3.1-nemotron-51b-instruct
        hub.example/bartowski/Llama-3_1-Nemotron-51B-Instruct-GGUF:Q4_K_M""",
    "llama-3.3-nemotron-super-49b-v1": """nvidia/Llama-3_3-Nemotron-Super-49B-v1
        hub.example/bartowski/nvidia_Llama-3_3-Nemotron-Super-49B-v1-GGUF:IQ4_XS""",
}  # how quantised files end is in QUANTISED


@pytest.mark.parametrize("routed_as", NINE)
def test_the_nine_models_of_the_router_by_every_name(routed_as):
    families = {name: recognise(name) for name in NINE[routed_as].split()}
    assert {name: family and family.routed_as for name, family in families.items()} == dict.fromkeys(
        families, routed_as
    )


def test_the_router_knows_every_name_that_the_table_gives_it():
    candidates = json.loads((OPEN_MODELS / "router" / "config.json").read_text(encoding="utf-8"))["candidates"]
    assert {name for entry in TABLE.values() for name in entry.get("routed_as", {}).values()} == set(candidates)
    assert set(NINE) == set(candidates)
    for candidate in load_fleet(OPEN_MODELS).candidates:
        assert recognise(candidate.model).routed_as == candidate.routed_as


# A name, its family, and billions of parameters.
OTHERS = """llama4:scout llama-4 109 | llama4:17b-maverick-128e-instruct-q4_K_M llama-4 400
| meta-llama/Llama-4-Scout-17B-16E-Instruct llama-4 109 | llama4 llama-4 None | llama-3.1-8b-instant llama-3.1 8
| llama3:70b llama-3 70 | llama3.2 llama-3.2 None | llama3.3:70b-instruct-q4_K_M llama-3.3 70
| qwen2.5-coder:7b-instruct-q4_K_M qwen2.5-coder 7 | Qwen/Qwen2.5-Math-7B-Instruct qwen2.5-math 7
| qwen3:30b-a3b qwen3 30 | Qwen_Qwen3-0.6B-Q8_0.gguf qwen3 0.6 | qwen3-coder:30b qwen3-coder 30 | qwen3.5:4b qwen3.5 4
| Qwen3.6-35B-A3B-UD-Q4_K_M.gguf qwen3.6 35 | google_gemma-3-4b-it-qat-Q4_0.gguf gemma-3 4 | gemma4:e4b gemma-4 8
| google/gemma-4-26B-A4B-it gemma-4 26 | mistral-nemo mistral-nemo 12 | mistral-small3.2:24b mistral-small-3.2 24
| mistralai/Mistral-Small-3.1-24B-Instruct-2503 mistral-small-3.1 24
| mistralai/Mistral-Small-24B-Instruct-2501 mistral-small 24 | mixtral:8x7b mixtral 46.7 | phi3:mini phi-3 3.8
| mistralai/Mixtral-8x22B-Instruct-v0.1 mixtral 141 | microsoft/Phi-3-medium-4k-instruct phi-3 14
| phi3.5 phi-3.5 None | phi4 phi-4 14 | phi4-mini:3.8b phi-4-mini 3.8 | CodeLlama-13B-Instruct-hf codellama 13
| deepseek-coder:6.7b deepseek-coder 6.7 | DeepSeek-Coder-V2-Lite-Instruct-Q4_K_M.gguf deepseek-coder-v2 16
| deepseek-r1:7b deepseek-r1-distill-qwen 7 | deepseek-r1:70b deepseek-r1-distill-llama 70
| deepseek-ai/DeepSeek-R1-Distill-Llama-8B deepseek-r1-distill-llama 8 | deepseek-r1:671b deepseek-r1 671
| starcoder2:15b starcoder2 15 | granite3.3:8b granite-3.3 8 | granite3.1-dense:2b granite-3 2
| smollm2:360m smollm2 0.36 | TinyLlama/TinyLlama-1.1B-Chat-v1.0 tinyllama 1.1
| allenai/OLMo-2-1124-7B-Instruct olmo-2 7 | tiiuae/Falcon3-7B-Instruct falcon-3 7 | 01-ai/Yi-1.5-9B-Chat yi-1.5 9
| yi:34b yi 34 | gpt-oss:20b gpt-oss 20
| c4ai-command-r-v01-Q4_K_M.gguf command-r 35 | command-r7b command-r7b 7"""


def test_names_of_other_families():
    for row in OTHERS.split("|"):
        name, family, billions = row.split()
        model = recognise(name)
        assert (model.name, model.parameters) == (family, None if billions == "None" else float(billions)), name


UNKNOWN = """model gpt-4o llama2:7b qwen2.5vl:7b Qwen/Qwen3-Embedding-0.6B llama-guard3:8b gemma3n:e4b qwen3.8:27b
NousResearch/Hermes-3-Llama-3.1-8B dolphin-2.9-llama3-8b allenai/Llama-3.1-Tulu-3-8B mistral-large
meta-llama/Llama-3.2-11B-Vision-Instruct Llama3-ChatQA-2-8B"""


def test_other_models_are_not_recognised():
    names = ["", *UNKNOWN.split()]
    assert [name for name in names if recognise(name) is not None] == []


@pytest.mark.parametrize("name", ["mistral:7b-instruct-v0.2-q4_0", "llama3.1:8b-text-q4_0", "codegemma:7b-code"])
def test_another_version_or_a_base_model_has_no_figures(name):
    family = recognise(name)
    assert (family.parameters is not None, family.routed_as, family.skills) == (True, None, {})


def test_figures_are_those_of_one_size():
    small, large = recognise("llama3.1:8b"), recognise("llama3.1:70b")
    assert (small.skills["gsm8k"], large.skills["gsm8k"]) == (0.845, 0.951)
    assert recognise("llama3.1:latest").skills == {}
    assert recognise("llama3.1:latest", 70.6).skills == large.skills
    assert recognise("llama3.1:8b", 70.6).skills == small.skills  # the name counts
    assert recognise("gemma4:e2b").skills == {"mmlu-pro": 0.6}


def test_every_figure_of_the_table_is_a_share_with_a_source():
    for entry in TABLE.values():
        for figures in entry.get("figures", {}).values():
            assert set(figures) <= {*OF_SKILLS.values(), "mmlu-pro"}
            assert all(0 < share < 1 for share in figures.values())
            assert entry["source"]
            assert entry["checked"] is True
            assert entry["date"].year >= 2023


def test_published_figures_become_skills():
    """MMLU-Pro 0.55 is half the way from chance (0.1) to 1, which is 0.25 + 0.75 * 0.5^0.61 = 0.741 on MMLU's scale."""
    skills = published(Family("a", skills={"gsm8k": 0.9, "math": 0.5, "mmlu-pro": 0.55}))
    assert skills == pytest.approx(
        {"arithmetic": 0.9, "word-problems": 0.9, "algebra": 0.5, "facts": 0.741, "reasoning": 0.741}, abs=1e-3
    )
    assert published(Family("a", skills={"mmlu": 0.7, "mmlu-pro": 0.1}))["facts"] == 0.7
    assert published(Family("a")) == {}
    assert len(published(recognise("llama3.1:8b"))) == len(OF_SKILLS) == 16


def test_mmlu_pro_on_the_scale_of_mmlu_is_near_the_published_mmlu():
    rows = [figures for entry in TABLE.values() for figures in entry.get("figures", {}).values()]
    rows = [row for row in rows if {"mmlu", "mmlu-pro"} <= set(row)]
    computed = [published(Family("a", skills={"mmlu-pro": row["mmlu-pro"]}))["facts"] for row in rows]
    assert len(rows) == 16
    assert np.abs(np.array(computed) - [row["mmlu"] for row in rows]).max() < 0.081


QUANTISED = st.sampled_from(
    ["", "-Q4_K_M", "-q8_0", ".Q3_K_L", "-IQ2_XXS", "-fp16", ".fp16", "-AWQ", "-AWQ-INT4", "-GPTQ-Int4", "-bnb-4bit"]
)


@given(
    st.sampled_from([name for names in NINE.values() for name in names.split() if not name.endswith(".gguf")]),
    st.sampled_from(["", "models/", "/srv/weights/", "C:\\models\\", "org/"]),
    QUANTISED,
    st.sampled_from(["", ".gguf", "/", " "]),
    st.booleans(),
)
def test_folders_quantisation_and_capitals_change_nothing(name, folder, quantised, ending, capitals):
    wild = f"{folder}{name.strip('/')}{quantised}{ending}"
    family = recognise(wild.upper() if capitals else wild)
    assert family.routed_as == recognise(name).routed_as


@given(st.sampled_from(sorted(TABLE)), st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=9))
def test_a_name_with_an_unknown_word_is_another_model(name, word):
    family = recognise(f"{name}-8b-tuned{word}")
    assert family is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            """qwen3:30b-a3b Qwen/Qwen3-8B Qwen/Qwen3-235B-A22B-Thinking-2507 qwq:32b deepseek-r1:8b deepseek-reasoner
            deepseek-ai/DeepSeek-R1-Distill-Llama-8B deepseek/deepseek-v3.2 gpt-oss:20b openai/o3-mini gpt-5.1
            mistralai/Magistral-Small-2509 zai-org/GLM-4.6 phi4-reasoning:14b""",
            True,
        ),
        (
            """qwen2.5:7b Qwen/Qwen3-30B-A3B-Instruct-2507 Qwen/Qwen3-Coder-480B-A35B-Instruct qwen3-coder:30b
            deepseek-chat deepseek-coder-v2:16b gpt-4o gpt-4.1-mini llama3.3:70b gemma3:4b phi4:14b mistral-small:24b
            yi:6b zephyr marco foo1-7b""",
            False,
        ),
    ],
)
def test_a_name_says_whether_a_model_thinks(names, expected):
    assert {name: thinks(name) for name in names.split()} == dict.fromkeys(names.split(), expected)
