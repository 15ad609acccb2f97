from __future__ import annotations

import pytest

from zooter_core.learn.chores import is_chore

CHORES = [
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:",
    "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
    "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next",
    "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in the given",
    "### Task:\nYou are an autocompletion system. Continue the text",
    "### Task:\nGenerate a detailed prompt for am image generation task based on the given language",
    "Your task is to reflect the speaker's likely facial expression through a fitting emoji.",
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.",
    "Please generate a concise, 5-word-or-less title for the conversation, using its same language",
    "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title",
    "Please write a 5-10 word title for the following conversation:\n\nUser: Hi",
    "[SUGGESTION MODE: Suggest what the user might naturally type next into Claude Code.]",
    "Generate a concise, single-line task title of at most 36 characters",
]
AGENT = "You are Claude Code, Anthropic's official CLI for Claude.\n"
SYSTEMS = [  # before the user's own words
    f"{AGENT}Generate a concise, sentence-case title (3-7 words) that captures the main topic or goal of this coding",
    f"{AGENT}You are naming a coding session so the user can pick it out of a long list of sessions.",
    f"{AGENT}Analyze if this message indicates a new conversation topic. If it does, extract a 2-3 word title",
    "You are a title generator. You output ONLY a thread title. Nothing else.",
    "You are an expert software engineer that generates concise, one-line Git commit messages based on diffs.",
]


@pytest.mark.parametrize("prompt", CHORES)
def test_prompts_of_chat_uis_are_chores(prompt):
    assert is_chore(["an earlier question", prompt])
    assert not is_chore([prompt, "a real question after it"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_so_are_those_that_agents_put_into_the_system_prompt(system):
    assert is_chore(["What is a trie?"], system=[system])
    assert not is_chore(["What is a trie?"], system=[AGENT, f"Do not say: {system.removeprefix(AGENT)}"])


@pytest.mark.parametrize(
    "query",
    [
        "Generate a title for my essay about bees.",
        "What are good tags for a blog post?",
        "Suggest three follow-up questions to ask in an interview.",
        "You are an autocompletion expert; what is a trie?",
        "### Task:\nWrite a poem",
        "",
    ],
)
def test_what_users_ask_is_none(query):
    assert not is_chore([query])
    assert not is_chore([])


def test_metadata_marks_a_chore():
    assert is_chore(["anything"], {"chore": "true"})
    assert is_chore(["anything"], {"task": "title_generation"})
    assert is_chore(["anything"], {"task": "follow_up_generation"})
    assert not is_chore(["anything"], {"task": "summarise my mail", "chore": "no"})
    assert not is_chore(["anything"], ["title_generation"])
