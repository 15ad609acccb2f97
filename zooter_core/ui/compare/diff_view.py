"""Two responses side by side, with their differences."""

from __future__ import annotations

import streamlit as st

from zooter_core.ui.compare import diff
from zooter_core.ui.compare.comparisons import Comparison


def draw_differences(comparison: Comparison) -> None:
    """Any two responses, for the visitor to choose."""
    names = comparison.answered
    if len(names) < 2:
        return
    with st.expander(
        "Differences between two responses",
        icon=":material/difference:",
        key=f"diff-{comparison.id}",
        on_change="rerun",
    ) as box:
        if not box.open:
            return
        # Choices are letters while names are hidden, and names in the same places later: two sets of widgets.
        state = f"{comparison.id}-{comparison.hidden}"
        columns = st.columns(2)
        chosen = [
            column.selectbox(side, names, place, format_func=comparison.label, key=f"{side}-{state}")
            for place, (column, side) in enumerate(zip(columns, ("Left", "Right"), strict=True))
        ]
        by = st.segmented_control("Compare by", ["Words", "Lines"], default="Words", required=True, key=f"by-{state}")
        left, right = (comparison.job.responses[name].text for name in chosen)
        _side_by_side(left, right, by == "Lines")


def _side_by_side(left: str, right: str, by_line: bool) -> None:
    columns = st.columns(2)
    if by_line:
        for column, text in zip(columns, diff.lines(left, right), strict=True):
            column.code(text, language="diff")
        st.caption("A line that is only on the left starts with a minus, one only on the right with a plus.")
        return
    difference = diff.words(left, right)
    columns[0].markdown(diff.markdown(difference.left, right=False))
    columns[1].markdown(diff.markdown(difference.right, right=True))
    cut = f" Only the first {diff.MOST_WORDS:,} words of each are compared." if difference.cut else ""
    st.caption(
        f"{difference.shared} words in both; {difference.only_left} only on the left (struck out, after a minus), "
        f"{difference.only_right} only on the right (bold, after a plus).{cut}"
    )
