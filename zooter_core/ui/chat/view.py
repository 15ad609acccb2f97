"""What the Chat page draws: the empty page, and each turn with its routing, its answer and its buttons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.backends.attachments import estimated_tokens
from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.money import in_dollars
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.data import prices
from zooter_core.evaluation import verdicts
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import answer_view, charts, links, resources
from zooter_core.ui.background import EVERY, draw_live, stop_button
from zooter_core.ui.chat import composer, conversations, why
from zooter_core.ui.chat.controls import MODES
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.jobs import Job
from zooter_core.ui.markdown import message
from zooter_core.ui.models.manage import is_users
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import draw_page_button, focus_composer, icon_button, show_error

RETRY_HELP = "Ask the same model again from the start. If no model could answer, or it is gone, all are tried."
CONTINUE_HELP = "Let the same model continue the answer."
TURNS = 10  # at least so many of the latest turns are drawn; each costs the browser time whenever the page changes
LONG_PROMPT = 500  # tokens; on a CPU, a model may read a longer prompt for seconds or minutes before it answers


def draw_actions(ensemble: Ensemble, talk: Conversation, number: int) -> None:
    """Draw the buttons under an answer. The last turn can also be retried, edited, and answered by another model."""
    turn, key = talk.turns[number], _turn_id(talk, number)
    last, has_text = number == len(talk.turns) - 1, bool(turn.text.strip())
    with st.container(horizontal=True, key=f"actions-{key}", vertical_alignment="center", gap="xsmall"):
        if last and turn.job.incomplete:
            st.button("Retry", icon=":material/replay:", help=RETRY_HELP, on_click=talk.retry, args=(ensemble,))
        if turn.job.unfinished and turn.candidate in ensemble.fleet.pool:
            st.button("Continue", icon=":material/play_arrow:", help=CONTINUE_HELP, key=f"continue-{key}",
                      on_click=talk.resume, args=(ensemble, number))  # fmt: skip
        _versions(talk, number, key)
        if has_text:
            with st.container(key=f"copy-{key}", width="content"):
                st.code(turn.text, language=None)  # the style sheet shows only its copy button
            st.feedback(
                "thumbs",
                key=f"thumb-{key}-{turn.version}",
                default=turn.job.vote,
                on_change=lambda: talk.vote(number, st.session_state[f"thumb-{key}-{turn.version}"]),
            )
        with st.popover(
            "Share", icon=":material/share:", key=f"share-{key}", help="Share", type="tertiary", on_change="rerun"
        ) as box:
            if box.open:
                mode = next(label for label, mode in MODES.items() if mode == turn.settings.mode)
                query = "the same query, without its files," if turn.attachments else "the same query"
                links.draw_link(f"{query} and mode", turn.query, mode=mode)
        if last:
            icon_button("Edit", "edit", f"edit-{key}", set_editing, key)
        else:
            icon_button("Change this query in a branch", "call_split", f"branch-{key}", set_editing, key)
        if last or not talk.running:
            _other_answers(ensemble, talk, number, key)
        alone = len(_answering(turn)) == 1
        if facts := answer_view.facts(turn.answer.response, alone):
            st.caption(facts)


def _versions(talk: Conversation, number: int, key: str) -> None:
    turn = talk.turns[number]
    place, count = turn.version, len(turn.versions)
    if count < 2:
        return
    show, first, last = talk.show_version, place == 0, place == count - 1
    icon_button("Previous version", "chevron_left", f"previous-{key}", show, number, place - 1, disabled=first)
    st.markdown(f"{place + 1}/{count}", width="content")
    icon_button("Next version", "chevron_right", f"next-{key}", show, number, place + 1, disabled=last)


def _other_answers(ensemble: Ensemble, talk: Conversation, number: int, key: str) -> None:
    """Draw a menu of models, any of which can answer again, including the same one."""
    label, current, pool = "Answer again with", talk.turns[number].candidate, ensemble.fleet.pool
    names = sorted(pool, key=lambda name: name != current)
    if name := st.menu_button(
        label, names, format_func=lambda name: plain(name) + " again" * (name == current), key=f"again-{key}",
        icon=":material/refresh:", help=label, type="tertiary",
    ):  # fmt: skip
        talk.answer_with(ensemble, name, number)
        st.rerun()


def set_editing(turn: str | None) -> None:
    """Open the field in which a turn's query is edited; None closes it."""
    st.session_state["editing"] = turn


def _turn_id(talk: Conversation, number: int) -> str:
    """An id of a turn's current state: another query, retry or conversation has another id."""
    return f"{talk.id}-{number}-{talk.turns[number].retry}"


def _answer_id(talk: Conversation, number: int) -> str:
    """An id of the current version of a turn's answer."""
    return f"{_turn_id(talk, number)}-{talk.turns[number].version}"


def draw_edit_form(ensemble: Ensemble, talk: Conversation, number: int, settings: Settings) -> None:
    """Draw a query as a text field in its bubble. The page's script scrolls to it if it is out of sight."""
    turn, last = talk.turns[number], number == len(talk.turns) - 1
    with answer_view.bubble(), st.form(f"edit-{number}", border=False):
        query = st.text_area("Your query", turn.query, height="content", key=f"edited-{_turn_id(talk, number)}")
        focus_composer(f"edited {_turn_id(talk, number)}")
        names = [file.name for file in turn.attachments]
        places = range(len(names))
        files = st.multiselect("Files", places, places, lambda place: names[place]) if names else []
        if not last:
            st.caption("This begins a branch, a conversation of its own with all that came before this query.")
        row = st.container(horizontal=True)
        send = row.form_submit_button("Send")
        cancel = row.form_submit_button("Cancel")
    if send:
        try:
            attachments = [turn.attachments[place] for place in files]
            if last:
                talk.ask(ensemble, query, settings, attachments, replacing=True)
            else:
                conversations.show(talk.branch(ensemble, number, query, settings, attachments))
        except ZooterError as problem:
            show_error(problem)
            return
    if send or cancel:
        set_editing(None)
        st.rerun()


EMBEDDED = "Four 135M-parameter specialists on your processor. Watch the routing; don't trust the answers."


def draw_welcome() -> DeltaGenerator:
    """Draw what the page is for, the report's verdict on the router, and a link for connecting models. Return the
    container for elements that need the fleet, which may still be loading."""
    with st.container(key="welcome"):
        st.title("Ask once. The right model answers.", anchor=False)
        st.markdown(
            "A small router reads your query and predicts which model would answer it best. Only that model runs."
        )
        with suppress(ZooterError):  # the page says what is wrong with the fleet
            report = verdicts.load_fleet_report(load_fleet(resources.folder()))
            if line := report and verdicts.in_a_line(report):
                with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                    st.caption(plain(line), width="content")
                    draw_page_button("Benchmark", "benchmark", "arrow_forward", "tertiary")
        with st.container(horizontal=True, gap="small"):
            users = is_users(resources.folder())
            place = st.container(width="stretch" if users else "content")
            if not users:
                draw_page_button("Connect my models", "models", "add")
        return place


def draw_starting(ensemble: Ensemble, place: DeltaGenerator) -> None:
    if ensemble.router.note:
        with place.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption(
                "For now, a starting router chooses. An exam trains one on your models' answers:", width="content"
            )
            draw_page_button("Models", "models", "arrow_forward", "tertiary")


def draw_footnote() -> None:
    text = EMBEDDED
    if is_users(resources.folder()):
        text = f"{len(resources.pool())} models behind one router. Check important answers."
    with st.bottom, st.container(key="footnote"):
        st.caption(text, text_alignment="center")


def draw_link_notice() -> None:
    """Draw a notice that a link has filled in a query and perhaps a mode."""
    mode = st.query_params.get("mode")
    also = f" It also set **Who answers** to **{mode}**." if mode in MODES else ""
    links.draw_notice(f"read it, then send it.{also}")


def draw_earlier(talk: Conversation, live: Collection[int]) -> int:
    """Draw a button that shows earlier turns, if there are any. Return the number of the first turn to draw.

    Args:
        live: the turns that are being answered; they are always drawn.
    """
    key, latest = f"first-{talk.id}", max(0, len(talk.turns) // TURNS - 1) * TURNS
    first = min(latest, st.session_state.get(key, latest), *live)
    if first:
        st.button("Show earlier queries", icon=":material/expand_less:", key="earlier", type="tertiary",
                  on_click=st.session_state.update, args=({key: max(0, first - TURNS)},))  # fmt: skip
    return first


def draw_turn(ensemble: Ensemble, talk: Conversation, number: int, settings: Settings, live: bool) -> None:
    """Draw a query, its answer and the buttons below it; `live` draws the answer while it is streamed."""
    turn = talk.turns[number]
    if not live and st.session_state.get("editing") == _turn_id(talk, number):
        draw_edit_form(ensemble, talk, number, settings)
    else:
        answer_view.draw_query(turn.query)
        composer.draw_files(turn.attachments, f"{talk.id}-{number}")
    with st.chat_message("assistant", avatar=charts.avatar(ensemble.fleet.pool, turn.candidate)):
        if draw_routing(ensemble, talk, number):
            why.draw_reasons(ensemble, turn, f"{talk.id}-{number}")
        if live and isinstance(turn.job, Job):
            _draw_live(talk, number, turn.job)
        else:
            draw_answer(talk, number)
            draw_actions(ensemble, talk, number)


def _unread(talk: Conversation, number: int) -> int:
    """An estimate of the tokens that a model reads before it answers a turn: all since its last answer in this process.
    After a restart, it reads the full conversation."""
    turn, tokens, files = talk.turns[number], 0, 0
    for earlier in reversed(talk.turns[: number + 1]):
        if earlier is not turn:
            if earlier.candidate == turn.candidate and isinstance(earlier.job, Job):
                break
            tokens += estimated_tokens(earlier.text)
        tokens += estimated_tokens(earlier.query)
        files += len(earlier.attachments)
    readings = turn.answer.readings  # of all files of the conversation
    return tokens + sum(reading.read for reading in readings[max(0, len(readings) - files) :])


def _draw_live(talk: Conversation, number: int, job: Job) -> None:
    turn, key = talk.turns[number], _answer_id(talk, number)
    candidate = turn.candidate

    def draw() -> None:
        if turn.candidate != candidate:  # a fallback answers: the routing above must name it
            st.rerun()
        box = st.empty()
        with box.container():
            begun = turn.text or turn.answer.thoughts.text or _beside(turn)
            if not begun and (tokens := _unread(talk, number)) >= LONG_PROMPT:
                st.caption(f"Reading about {composer.rounded(tokens)} tokens first ...")
            _draw_text(turn, key)
        stop_button(job, "stop")
        # Draw the first words in this run. Elements with keys can be drawn only once per run.
        if not (job.begun.is_set() or turn.text or _beside(turn)) and job.begun.wait(EVERY):
            with box.container():
                _draw_text(turn, key)

    draw_live(job, draw)


def draw_answer(talk: Conversation, number: int) -> None:
    turn, key = talk.turns[number], _answer_id(talk, number)
    _draw_text(turn, key)
    if _scored(turn) and not _beside(turn):
        with st.expander(f"Best of {_scored(turn)}{' by reward' * _by_reward(turn)}", icon=":material/leaderboard:"):
            for place, item in enumerate(turn.job.ranked or [], 1):
                reward = "no reward" if item.reward is None else f"reward {item.reward:z.2f}"
                st.markdown(f"**{plain(item.response.candidate)}** · {reward}")
                answer_view.draw_answer(turn.job, item.response.candidate, f"{key}-{place}")


def _answering(turn: Turn) -> list[str]:
    return [name for name, answer in turn.job.answers.items() if not answer.failed_to_start]


def _beside(turn: Turn) -> list[str]:
    """The models whose answers are drawn side by side, after *Ask both*. In a mode that asks several models, only the
    best answer is drawn, unless the reward model failed."""
    answering = _answering(turn)
    alone = turn.settings.mode in ("select", "rmr") and (turn.job.running or _scored(turn))
    return answering if len(answering) > 1 and not alone else []


def _draw_cards(turn: Turn, names: Sequence[str], key: str) -> None:
    rewards = {item.response.candidate: item.reward for item in turn.job.ranked or [] if item.rank is not None}
    with st.container(horizontal=True, key=f"cards-{key}", wrap=False, gap="small"):
        for place, name in enumerate(names):
            with st.container(border=True, key=f"card-{key}-{place}"):
                reward = rewards.get(name)
                facts = [] if reward is None else [f"reward **{reward:z.2f}**"]
                merit = "highest reward" if _by_reward(turn) else "ranked first"
                facts += [f":gray-badge[:material/check: {merit}]"] if rewards and name == turn.candidate else []
                st.markdown(" ".join([charts.badge(list(turn.decision.probabilities), name), *facts]))
                answer_view.draw_answer(turn.job, name, f"{key}-{place}")


def _draw_text(turn: Turn, key: str) -> None:
    """Draw which models failed, and the answer so far, or the answers side by side."""
    job = turn.job
    if note := answer_view.fallback_note(job):
        st.warning(message(note), icon=":material/swap_horiz:")
    if names := _beside(turn):
        _draw_cards(turn, names, key)
        return
    name = turn.candidate
    if note := composer.cut_note(name, turn.answer.readings):
        st.caption(f":material/content_cut: {note}")
    answer_view.draw_answer(job, name, key)
    answering = _answering(turn)
    if job.running and len(answering) > 1:
        done = sum(job.answers[name].response is not None for name in answering)
        st.caption(f"{done} of {len(answering)} models have answered; the best answer stays.")


def _scored(turn: Turn) -> int:
    return sum(item.rank is not None for item in turn.job.ranked or [])


def _by_reward(turn: Turn) -> bool:
    """Whether the shown answer has the highest reward. A right answer ranks above a wrong one with a higher reward."""
    rewards = [item.reward for item in turn.job.ranked or [] if item.reward is not None]
    return bool(rewards) and rewards[0] == max(rewards)


BOTH_HELP = "Let {} answer too, beside the answer that is there."


def draw_routing(ensemble: Ensemble, talk: Conversation, number: int) -> bool:
    """Draw the router's decision as a strip, and any other model that answers. Return whether the reasons are open."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}"
    opened = charts.draw_strip(turn.decision, key, why=True)
    with st.container(horizontal=True, key=f"note-{key}", vertical_alignment="center", gap="small"):
        if note := " ".join(filter(None, [_substitution(turn), cost_note(ensemble.fleet, turn)])):
            st.caption(note, width="content")
        if offer := _unheard_rivals(ensemble, talk, number):
            label = "Ask both" if len(turn.decision.rivals) == 2 else f"Ask all {len(turn.decision.rivals)}"
            st.button(label, key=f"both-{_turn_id(talk, number)}", icon=":material/compare_arrows:", type="tertiary",
                      help=BOTH_HELP.format(listed(offer)), on_click=talk.hear, args=(ensemble, number))  # fmt: skip
    return opened


def cost_note(fleet: Fleet, turn: Turn) -> str:
    """The cost of the answer's tokens at the prices in fleet.toml, and the cost of the same number of tokens from the
    most expensive model, as Markdown. Empty while the answer runs, or if a price is missing."""
    responses, answer = turn.job.responses, turn.answer.response
    if turn.job.running or answer is None or not answer.tokens:
        return ""
    if any(response.candidate not in fleet.pool for response in responses):
        return ""
    paid = [prices.cost(fleet.candidate(response.candidate), 0, response.tokens) for response in responses]
    instead = {one.name: prices.cost(one, 0, answer.tokens) or 0.0 for one in fleet.candidates}
    dearest = max(instead, key=lambda name: instead[name])
    if not instead[dearest] or None in paid:
        return ""
    text = f"Not counting the prompt, this answer cost ${in_dollars(sum(filter(None, paid)))}"
    if turn.candidate != dearest or len(paid) > 1:
        text += f"; **{plain(dearest)}**, the dearest, would have cost about ${in_dollars(instead[dearest])}"
    return f"{text}.".replace("$", r"\$")


def _unheard_rivals(ensemble: Ensemble, talk: Conversation, number: int) -> tuple[str, ...]:
    """The models between which the router is undecided, except those that have answered."""
    turn = talk.turns[number]
    if turn.job.running or (number != len(talk.turns) - 1 and talk.running):
        return ()
    rivals = [name for name in turn.decision.rivals if name in ensemble.fleet.pool]
    return tuple(name for name in rivals if name not in turn.job.answers) if len(rivals) > 1 else ()


def _substitution(turn: Turn) -> str:
    """Which model answers instead of the router's choice, and why, as Markdown; empty if the choice answers."""
    job, choice, rivals = turn.job, turn.decision.candidate, turn.decision.rivals
    merit = "has the highest reward" if _by_reward(turn) else "is ranked first"
    if turn.candidate == choice:
        if not rivals or job.all_failed:
            return ""
        first, *others = [f"{turn.decision.probabilities[name]:.0%}" for name in rivals]
        against = " and ".join(f"{share} for {plain(name)}" for name, share in zip(rivals[1:], others, strict=True))
        verb = f"{merit}. Its probability is" if _scored(turn) else "answers:"
        return f"**{plain(choice)}** {verb} {first}, against {against}."
    who, chosen = plain(turn.candidate), plain(choice)
    if _scored(turn):
        return f"**{who}** {merit} of {_scored(turn)}; the router chose **{chosen}**."
    if choice in job.answers and job.answers[choice].failed_to_start:
        return f"**{who}** answers instead of **{chosen}**, the router's choice."
    verb = "was asked" if job.all_failed else "answers"
    return f"**{who}** {verb} because you chose it; the router chose **{chosen}**."
