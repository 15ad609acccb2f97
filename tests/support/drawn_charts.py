"""The charts of a page in Streamlit's test harness, as plotly has them in JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from streamlit.testing.v1 import AppTest

KEY = re.compile("-[0-9a-f]{32}-(.+)$")  # behind a digest


def charts(page: AppTest) -> dict[str, dict[str, Any]]:
    """Key -> the figure of each chart, with its `alt`; of two that take turns (charts.redraw), the newer one."""
    drawn: dict[str, dict[str, Any]] = {}
    for element in page.get("plotly_chart"):
        key = KEY.search(element.proto.id)[1]
        name, _, place = key.rpartition("-")
        turns = place in ("0", "1") and f"turn-{name}" in page.session_state
        if turns and int(place) != page.session_state[f"turn-{name}"][0]:
            continue
        drawn[name if turns else key] = json.loads(element.proto.spec) | {"alt": element.proto.alt}
    return drawn
