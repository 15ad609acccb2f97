"""The controls around a conversation: the row above it, which sets the models, and the sidebar of conversations."""

from __future__ import annotations

from datetime import date, datetime
from itertools import groupby

import streamlit as st

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.chat import conversations, export
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Mode, Settings, Tuning
from zooter_core.ui.history import Entry, history
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import clipped, code, is_from_right, plain
from zooter_core.ui.widgets import download, draw_problem, icon_button, persistent

MODES: dict[str, Mode] = {"Router": "router", "Best of a few": "select", "All of them": "rmr", "One model": "fixed"}
MODE_HELP = (
    "**Router**: the model with the highest probability answers alone.  \n"
    "**Best of a few**: if the router is unsure, its top few models answer and the reward model picks the best.  \n"
    "**All of them**: every model answers and the reward model picks the best (reward model ranking).  \n"
    "**One model**: the model that you choose, whatever the router predicts."
)
UNSURE_HELP = (
    "At 0.8, several models answer one query in five: those where more answers should gain most, judging by similar "
    "training queries. At 0 they answer nearly all queries, at 1 hardly any. A router that was saved without its "
    "training queries goes by the lead of the most probable model: 0 is certain, 1 a tie."
)
TEMPERATURE_HELP = "0 always takes the most probable word; higher values vary more."
LENGTH_HELP = "A token is about three quarters of a word."
SYSTEM_HELP = "Instructions for the model that answers. The router does not see them."
NO_REWARDS = "There is no reward model, so no answers are compared here."
HOTTEST = 1.5
MOST_SYSTEM = 8_000  # characters of a system prompt
SHOWN = 40  # characters of a system prompt that are shown outside the editor
LONGEST = 1024  # tokens; the slider's maximum, unless the fleet's own limit is higher
NEW_KEY = "Alt+N"
SHORTCUTS = (
    ("/", "Go to the field for a query"),
    ("Enter", "Send; Shift and Enter begin a new line"),
    (NEW_KEY, "Begin a new conversation"),
    ("← →", "On a conversation in the list: pin it, delete it"),
    ("?", "Show these shortcuts"),
    ("1, 2, ...", "In a blind comparison: vote for a response"),
    ("T, N", "In a blind comparison: a tie, none is good"),
    ("→", "After a blind vote: the next round"),
)


def draw(ensemble: Ensemble, talk: Conversation) -> Settings:
    """Draw the row above a conversation. Return how the next query is answered."""
    with st.container(horizontal=True, key="controls", vertical_alignment="center", gap="small"):
        mode = st.session_state.get("mode", st.query_params.get("mode"))
        label = f"Who answers: **{mode if mode in modes(ensemble) else 'Router'}**"
        with st.popover(label, icon=":material/alt_route:", type="tertiary", key="who-answers"):
            settings = _settings(ensemble)
        with st.popover("Settings", icon=":material/tune:", type="tertiary", key="tuning", help="Settings"):
            _tune(ensemble, talk)
        st.space("stretch")
        if talk.turns:
            with st.popover(
                "This conversation", icon=":material/more_horiz:", type="tertiary", key="more",
                help="This conversation", on_change="rerun",
            ) as box:  # fmt: skip
                if box.open:
                    _this_conversation(talk)
            icon_button("New conversation", "add", "begin-here", conversations.clear)  # for phones
        icon_button("Keyboard shortcuts", "keyboard", "shortcuts", _shortcuts)
    draw_problem("conversation")
    if changes := _changes(talk.tuning):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="tuned"):
            st.markdown(f":gray-badge[:material/tune: {changes}]", width="content")
            st.button("Reset", key="reset-tuning", type="tertiary", on_click=_reset, args=(ensemble, talk))
    if entry := conversations.deleted():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"“{plain(entry.title)}” is deleted.", width="content")
            st.button("Undo", icon=":material/undo:", on_click=conversations.undo)
    return talk.tuning.applied(settings)


@st.dialog("Keyboard shortcuts")
def _shortcuts() -> None:
    st.table({"Key": [f"`{key}`" for key, _ in SHORTCUTS], "What it does": [text for _, text in SHORTCUTS]})


def modes(ensemble: Ensemble) -> list[str]:
    """The modes that a fleet offers; some need a reward model."""
    return [label for label, mode in MODES.items() if ensemble.can_rank or mode in ("router", "fixed")]


def _settings(ensemble: Ensemble) -> Settings:
    router, pool = ensemble.fleet.router, ensemble.fleet.pool
    mode = MODES[st.selectbox("Who answers", modes(ensemble), key="mode", bind="query-params", help=MODE_HELP)]
    if not ensemble.can_rank:
        st.caption(NO_REWARDS)
    candidate, k, unsure = None, 2, None
    if mode == "fixed":
        candidate = st.selectbox("Model", pool, **persistent("model"))
    if mode == "select":
        if len(pool) > 2:
            k = st.slider("How many answer", 2, len(pool), 2, **persistent("k"))
        default = router.unsure_above if router and router.unsure_above < 1 else 0.5
        unsure = st.slider("Unsure above", 0.0, 1.0, default, 0.05, **persistent("unsure", UNSURE_HELP))
    with st.expander(f"The {len(ensemble.fleet.pool)} models", icon=":material/groups:"):
        for item in ensemble.fleet.candidates:
            st.caption(f"**{plain(item.name)}**: {plain(item.description)}")
    return Settings(mode, candidate, k, unsure)


def _defaults(ensemble: Ensemble) -> tuple[float, int]:
    generation = ensemble.fleet.generation
    return float(min(generation.temperature, HOTTEST)), generation.max_new_tokens


def _tune(ensemble: Ensemble, talk: Conversation) -> None:
    temperature, length = _defaults(ensemble)
    tuning, most = talk.tuning, max(LONGEST, length)
    system = st.text_area(
        "System prompt", tuning.system, key=f"system-{talk.id}", help=SYSTEM_HELP, max_chars=MOST_SYSTEM,
        placeholder="Answer in one sentence.",
    )  # fmt: skip
    warmth = temperature if tuning.temperature is None else tuning.temperature
    warmth = st.slider(
        "Temperature", 0.0, HOTTEST, warmth, 0.05, key=f"temperature-{talk.id}", help=TEMPERATURE_HELP
    )  # fmt: skip
    tokens = tuning.max_new_tokens or length
    tokens = st.slider("Longest answer", 16, most, tokens, 16, "%d tokens", key=f"length-{talk.id}", help=LENGTH_HELP)
    talk.tuning = Tuning(
        temperature=None if warmth == temperature else warmth,
        max_new_tokens=None if tokens == length else int(tokens),
        system=system or "",
    )
    st.caption("These settings belong to this conversation and apply to every model, from the next answer on.")


def _changes(tuning: Tuning) -> str:
    """Which settings differ from the fleet's, as Markdown; empty if none does."""
    parts = [f"system prompt “{plain(clipped(tuning.system, SHOWN))}”"] if tuning.system.strip() else []
    parts += [] if tuning.temperature is None else [f"temperature {tuning.temperature:g}"]
    parts += [] if tuning.max_new_tokens is None else [f"at most {tuning.max_new_tokens:,} tokens"]
    return " · ".join(parts)


def _reset(ensemble: Ensemble, talk: Conversation) -> None:
    talk.tuning = Tuning()
    temperature, length = _defaults(ensemble)
    for name, value in {"system": "", "temperature": temperature, "length": length}.items():
        st.session_state[f"{name}-{talk.id}"] = value


def sidebar(talk: Conversation) -> None:
    """Draw the list of conversations by date, with a search field, below the button for a new one."""
    with st.sidebar, st.container(key="conversations", gap="small"):
        st.button("New conversation", icon=":material/add:", key="new", width="stretch", shortcut=NEW_KEY,
                  on_click=conversations.clear)  # fmt: skip
        store = history()
        if store.path is None:
            st.caption("Conversations are not saved (history is off).")
            return
        words = st.text_input(
            "Search conversations", key="search", placeholder="Search", icon=":material/search:",
            label_visibility="collapsed", live="300ms",
        )  # fmt: skip
        entries = store.entries((words or "").strip())
        if store.problem:
            st.warning(safe(store.problem))
        if not entries:
            st.caption("No conversation has these words." if words else "No conversations yet.")
        today = datetime.now().date()
        for label, group in groupby(entries, lambda entry: period(entry, today)):
            st.caption(label)
            for entry in group:
                _entry(entry, entry.id == talk.id)
        st.caption(
            f"Saved on this machine only, in {code(str(store.path))}. Turn off: `ZOOTER_HISTORY=off zooter demo`."
        )


def period(entry: Entry, today: date) -> str:
    day = datetime.fromtimestamp(entry.changed).date()
    days = (today - day).days
    if entry.pinned:
        return "Pinned"
    if days < 2:
        return "Yesterday" if days == 1 else "Today"
    return "The last 7 days" if days < 7 else f"{day:%B %Y}"


def _entry(entry: Entry, is_current: bool) -> None:
    key = f"entry-{'rtl-' * is_from_right(entry.title)}{entry.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False, key=key):
        st.button(
            plain(entry.title) or "…",
            key=f"open-{entry.id}",
            help=f"{datetime.fromtimestamp(entry.changed):%A, %d %B %Y, %H:%M}",
            on_click=conversations.open,
            args=(entry.id,),
            type="secondary" if is_current else "tertiary",
            width="stretch",
        )
        pin, icon = ("Unpin", "keep_off") if entry.pinned else ("Pin", "keep")
        icon_button(pin, icon, f"pin-{entry.id}", history().pin, entry.id, not entry.pinned)
        icon_button("Delete", "delete", f"delete-{entry.id}", conversations.forget, entry.id)


def _this_conversation(talk: Conversation) -> None:
    key = f"name-{talk.id}"
    st.text_input("Name", talk.title, key=key, on_change=lambda: talk.rename(st.session_state[key]))
    download("Download as Markdown", export.markdown(talk), f"zooter-{talk.id}.md")
    download("Download as JSON", export.as_json(talk), f"zooter-{talk.id}.json")
    st.button("Delete", icon=":material/delete:", on_click=conversations.forget, args=(talk.id,))
