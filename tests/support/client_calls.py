"""One question to the endpoint by a client's own library: `python client_calls.py CLIENT BASE_URL stream|whole`.

Run by tests/serve/test_clients.py in the clients' environment, so it imports nothing of Zooter. It prints JSON: the
text, and the model that the client says has answered.
"""

from __future__ import annotations

import json
import sys

QUESTION = "What is 2 + 3?"


def litellm(url: str, stream: bool) -> dict[str, str | None]:
    import litellm

    messages = [{"role": "user", "content": QUESTION}]
    answer = litellm.completion("openai/auto", messages, api_base=url, api_key="none", stream=stream)
    if not stream:
        return {"text": answer.choices[0].message.content, "model": answer.model}
    # Its chunks repeat the model that was asked for; the one that answers is in the headers.
    model = answer._hidden_params["additional_headers"]["llm_provider-x-model-router-selected-model"]
    return {"text": "".join(chunk.choices[0].delta.content or "" for chunk in answer), "model": model}


def langchain(url: str, stream: bool) -> dict[str, str | None]:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="auto", base_url=url, api_key="none")
    if not stream:
        answer = chat.invoke(QUESTION)
        return {"text": answer.content, "model": answer.response_metadata["model_name"]}
    chunks = list(chat.stream(QUESTION))
    names = [name for chunk in chunks if (name := chunk.response_metadata.get("model_name"))]
    return {"text": "".join(chunk.content for chunk in chunks), "model": names[-1] if names else None}


def anthropic(url: str, stream: bool) -> dict[str, object]:
    """The message with all of its blocks. The client adds `/v1` to its address."""
    import anthropic

    turn, tool = {"role": "user", "content": QUESTION}, {"name": "add", "input_schema": {"type": "object"}}
    request = {"model": "auto", "max_tokens": 50, "messages": [turn], "tools": [tool]}
    with anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="none", max_retries=0) as client:
        if stream:
            with client.messages.stream(**request) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**request)
        try:
            client.messages.create(**{**request, "model": "gpt-99"})
        except anthropic.NotFoundError as problem:
            error = problem.body["error"]["type"]
        tokens = client.messages.count_tokens(model="auto", messages=[turn]).input_tokens
    content = [block.model_dump(include={"type", "text", "thinking", "name", "input"}) for block in message.content]
    text = "".join(block.get("text", "") for block in content)
    return {"text": text, "model": message.model, "content": content, "error": error, "tokens": tokens}


if __name__ == "__main__":
    client, base_url, mode = sys.argv[1:]
    print(json.dumps(globals()[client](base_url, mode == "stream")))
