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


if __name__ == "__main__":
    client, base_url, mode = sys.argv[1:]
    print(json.dumps(globals()[client](base_url, mode == "stream")))
