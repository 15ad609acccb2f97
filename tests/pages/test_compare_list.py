"""The Compare page with a list of queries."""

from __future__ import annotations

import threading

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, column, press, tables, words
from zooter_core.ui.compare.lists import QueryList


def listed(page: AppTest) -> AppTest:
    page.session_state["view"] = "A list of queries"
    return page.run()


def batch_of(page: AppTest) -> QueryList:
    query_list = page.session_state["list"]
    assert isinstance(query_list, QueryList)
    return query_list


def send(page: AppTest, text: str = "", csv: bytes | None = None) -> AppTest:
    if text:
        page.text_area(key="list-text").set_value(text)
    if csv is not None:
        page.file_uploader[0].upload("queries.csv", csv, "text/csv")
    return press(page, "Compare all")


def test_a_pasted_list_is_compared_to_its_end(open_page: Open) -> None:
    page = send(listed(open_page("compare")), "What is 12 + 30?\n\nWrite about the sea.")
    query_list = batch_of(page)
    query_list.wait(120)
    page.run()
    assert "All 2 queries are done." in words(page)
    assert column(tables(page)[0], "Query") == ["What is 12 + 30?", "Write about the sea."]
    assert {button.label for button in page.download_button} == {"CSV", "JSON lines"}
    press(page, "New list")
    assert page.session_state["list"] is None
    assert page.file_uploader


def test_a_csv_file_is_stopped_and_resumed_where_it_was(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    permits, finished, compare = threading.Semaphore(1), threading.Semaphore(0), QueryList._compare

    def compare_when_permitted(query_list: QueryList, query: str) -> bool:
        while not permits.acquire(timeout=0.01):
            if query_list.stopping:
                return False
        complete = compare(query_list, query)
        finished.release()
        return complete

    monkeypatch.setattr(QueryList, "_compare", compare_when_permitted)
    page = send(listed(open_page("compare")), csv=b"id,query\n1,Add up 7 apples?\n2,=1+1\n3,Hello\n")
    query_list = batch_of(page)
    assert finished.acquire(timeout=60)
    page.run()
    assert "1 of 3 queries done" in page.get("progress")[0].proto.text
    row = next(element.value for element in page.markdown if element.value.startswith("| No.")).splitlines()[2]
    assert row.startswith("| 1 | Add up 7 apples? | ")
    assert query_list.finished[0].decision.candidate in row
    press(page, "Stop")
    query_list.wait(60)
    page.run()
    first = list(query_list.finished)
    assert "Stopped: 1 of 3 queries are done." in words(page)
    again = open_page("compare", batch=query_list.id, view="A list of queries")  # a tab that reloads
    assert batch_of(again) is query_list
    permits.release(2)
    press(again, "Resume")
    query_list.wait(120)
    again.run()
    assert "All 3 queries are done." in words(again)
    assert query_list.finished[:1] == first
    assert column(tables(again)[0], "Query") == ["Add up 7 apples?", "=1+1", "Hello"]


def test_queries_are_counted_and_a_mistake_is_told_before_the_list_is_sent(open_page: Open) -> None:
    page = listed(open_page("compare"))
    assert "found" not in words(page)
    page.text_area(key="list-text").set_value("Hello\n\nWhat is 12 + 30?").run()
    assert "**2** queries found" in words(page)
    page.text_area(key="list-text").set_value("Hello").run()
    assert "**1** query found" in words(page)
    page.text_area(key="list-text").set_value("Hello\n" * 201).run()
    assert "found" not in words(page)
    assert len(page.error) == 1
    assert "list" not in page.session_state


@pytest.mark.parametrize(
    ("text", "csv", "message"),
    [
        ("", b"query\nfine\none, two\n", "1 column in line 3"),
        ("", b"query\nna\xefve\n", "line 2"),
        ("", None, "list is empty"),
        ("Hello", b"query\nHello\n", "both"),
    ],
)
def test_a_wrong_list_gets_one_clear_message(open_page: Open, text: str, csv: bytes | None, message: str) -> None:
    page = send(listed(open_page("compare")), text, csv)
    assert [message in error.value for error in page.error] == [True]
    assert "list" not in page.session_state


def test_a_list_that_cannot_go_on_says_why_and_keeps_the_rest(open_page: Open) -> None:
    page = send(listed(open_page("compare")), "What is 12 + 30?\nHello")
    query_list = batch_of(page)
    query_list.wait(60)
    query_list.queries = (*query_list.queries, "  ")  # what a file cannot bring
    query_list.start()
    query_list.wait(60)
    page.run()
    assert "an empty text" in page.error[0].value
    assert "Stopped: 2 of 3" in words(page)
