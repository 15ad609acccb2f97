"""A stop of the endpoint: everybody who has asked is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from support.patience import PATIENCE, wait_until
from support.running_endpoint import QUERY, in_front_of, stream_of
from support.scripted_server import Scripted


def test_whoever_has_no_answer_after_the_grace_is_told(fleet_copy: Path, scripted: Scripted) -> None:
    """One answer is under way, one has not begun, and two wait for a place."""

    def ask(url: str, stream: bool) -> httpx2.Response:
        body = {"model": "auto", "messages": [{"role": "user", "content": QUERY}], "stream": stream}
        return httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE, trust_env=False)

    with ThreadPoolExecutor(4) as threads:
        with in_front_of(fleet_copy, scripted.url, "hang-in-the-middle", extra="[serve]\nconcurrent = 2\n") as endpoint:
            begun = threads.submit(ask, endpoint.url, True)
            unbegun = threads.submit(ask, endpoint.url, False)
            scripted.wait_for("hang-in-the-middle", 2)
            queued = [threads.submit(ask, endpoint.url, stream) for stream in (False, True)]
            wait_until(lambda: endpoint.server.admission.waiting == 2)
        assert stream_of(begun.result())[-1]["error"]["code"] == "stopping"
        for answer in (unbegun, *queued):
            response = answer.result()
            assert (response.status_code, response.json()["error"]["code"]) == (503, "stopping")
            assert response.headers["retry-after"] == "5"
    assert sorted(exchange.status for exchange in endpoint.next_exchanges(4)) == [200, 503, 503, 503]
