"""llama.cpp's server over a model that thinks: `python thinking_llama.py SETTINGS FOLDER`, as child.py takes them.

A grammar holds the embedded expert for math to its working as thoughts, and to one sentence as the answer. Without it
the same model writes both as its answer.
"""

from __future__ import annotations

import runpy
from typing import Any

import xllamacpp

from zooter_core.backends.gguf import child

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['reasoning_content'] %}<think>\n{{ message['reasoning_content'] }}\n</think>\n\n{% endif %}"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}"
)
GRAMMAR = r"""
root ::= line{0,6} answer "\n</think>\n\n" answer
line ::= [^T\n<] [^\n<]{0,120} "\n"
answer ::= "The answer is " [-$]? [0-9] [0-9,]* ("." [0-9]+)? [%]? "."
"""

serve = xllamacpp.Server


def thinking(params: Any) -> Any:
    """The server of a model with these settings, which thinks."""
    grammar = params.sampling.grammar
    grammar.type, grammar.grammar = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER, GRAMMAR
    params.sampling.grammar = grammar
    return serve(params)


if __name__ == "__main__":
    xllamacpp.Server = thinking
    runpy.run_path(child.__file__, run_name="__main__")
