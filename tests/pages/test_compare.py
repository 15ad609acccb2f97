from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from zooter_core.ui.comparison import Comparison

Open = Callable[..., AppTest]


def start(page: AppTest, query: str) -> None:
    page.text_area[0].set_value(query)
    next(button for button in page.button if button.label == "Compare").click().run()


def compare(page: AppTest, query: str) -> AppTest:
    start(page, query)
    if "comparison" in page.session_state:
        page.session_state["comparison"].job.wait(60)
    return page.run()


def comparison(page: AppTest) -> Comparison:
    found = page.session_state["comparison"]
    assert isinstance(found, Comparison)
    return found


def heads(page: AppTest) -> list[str]:
    return [element.value for element in page.markdown if element.value.startswith("####")]


def test_every_candidate_is_ranked_by_reward(open_page: Open) -> None:
    page = compare(open_page("compare"), "What is 12 + 30?")
    assert not page.exception
    found = comparison(page)
    assert found.job.ranked is not None
    rewards = [item.reward for item in found.job.ranked if item.reward is not None]
    assert rewards == sorted(rewards, reverse=True)
    assert len(heads(page)) == 3
    placed = [item for item in found.job.ranked if item.rank]
    for head, item in zip(heads(page), placed, strict=False):
        assert head.startswith(f"#### {item.rank}. {item.response.candidate}")
    assert "highest reward" in heads(page)[0]
    assert any("router's choice" in head for head in heads(page))
    assert "saved" in page.info[0].value


def test_a_failing_candidate_fails_alone(open_page: Open, slow_fleet: Path) -> None:
    adapters = slow_fleet / "adapters"
    original = adapters.resolve()
    adapters.unlink()
    shutil.copytree(original, adapters)
    (adapters / "two" / "adapter_model.safetensors").write_bytes(b"not safetensors")
    page = compare(open_page("compare", slow_fleet), "What is 12 + 30?")
    assert not page.exception
    assert [error.value for error in page.error if "two" in error.value]
    assert len(page.error) == 1
    placed = [item.response.candidate for item in comparison(page).job.ranked or [] if item.rank]
    assert set(placed) == {"base", "one"}


def test_an_empty_query_gets_one_clear_message(open_page: Open) -> None:
    page = open_page("compare")
    start(page, "  ")
    assert "an empty text" in page.error[0].value
    assert "comparison" not in page.session_state


def test_stop_keeps_what_has_come(open_page: Open, slow_fleet: Path) -> None:
    page = open_page("compare", slow_fleet)
    start(page, "Write about the sea.")
    job = comparison(page).job
    if job.running:
        page.button(key="stop").click().run()
    job.wait(10)
    assert set(job.responses) == set(job.candidates)
    assert job.ranked is not None
    assert not page.run().exception


def test_two_sessions_do_not_mix(open_page: Open) -> None:
    first, second = open_page("compare"), open_page("compare")
    compare(first, "What is 12 + 30?")
    compare(second, "Write about the sea.")
    assert comparison(first).query != comparison(second).query
    assert comparison(first).job is not comparison(second).job
