"""Names that the previous version had and this one lacks, each with its replacement. The next version drops this list.

Code that refuses an unknown command, option, key or kind looks here first.
"""

from __future__ import annotations

from zooter_core.base.errors import ZooterError

GONE: dict[str, str] = {  # name -> what to do instead: the rest of a sentence, which further sentences may follow
    "zooter bench --judge-fleet": "`--judge DIR` names the folder of the judge's fleet.",
    "zooter bench --no-sandbox": "HumanEval's code always runs in the sandbox. docs/bench.md lists its requirements.",
    "zooter bench --suite": "name the benchmark itself: `zooter bench gsm8k --from FILE --out FILE`.",
    "zooter cache": "`zooter setup --clear` deletes the stored embeddings and rewards.",
    "zooter collect": (
        "call `zooter run --queries FILE --out DIR --until collect`; a later call without --until continues the run."
    ),
    "zooter demo --address": "use `--host`, as with `zooter serve`.",
    "zooter demo --embed-from": "use `--allowed-origin`, as with `zooter serve`.",
    "zooter demo --endpoint": "call `zooter demo --fleet DIR` with the fleet that the endpoint serves.",
    "zooter demo --history": (
        "set the environment variable ZOOTER_HISTORY to the file, or turn the history off with ZOOTER_HISTORY=off."
    ),
    "zooter distill --epochs": "use `--router-set epochs=N`.",
    "zooter distill --strict": "the notes of every command that reads score files say which scores are missing.",
    "zooter distill --tagger": (
        "tags come from the score files if these have any, otherwise from clusters of similar queries. To use other "
        "tags, call `distill(..., tags=...)` in Python."
    ),
    "zooter evaluate --judge-fleet": "`--fleet DIR --rmr --plot FILE.html` also selects by the reward of that fleet.",
    "zooter evaluate --prices": "prices come from `--fleet DIR`, which can be combined with --router.",
    "zooter evaluate --robust": (
        "in a checkout of the repository, `python benchmarks/formats.py robustness SCORES --router DIR` measures it."
    ),
    "zooter evaluate --select": "`--plot FILE.html` plots quality against cost.",
    "zooter evaluate --strict": "the notes of every command that reads score files say which scores are missing.",
    "zooter evaluate --tokens": "a response that is not in the files counts as 300 tokens.",
    "zooter export": "a router's folder is portable; copy it, and set `path` in [router] to the copy.",
    "zooter extend": (
        "add the model to fleet.toml and call `zooter run` with the same --out, or `zooter exam`, again; only the "
        "new model is asked. After removing a model from fleet.toml, nothing else is needed. If you have score files, "
        "`zooter distill --scores FILE... --out DIR` trains a router with the new scores."
    ),
    "zooter import": "in a checkout of the repository, `python benchmarks/formats.py` reads the same formats.",
    "zooter label": (
        "call `zooter run --queries FILE --out DIR --until label`, with --beta, --tau, --normalise and --holdout "
        "as before."
    ),
    "zooter merge": (
        "on several machines, `zooter run --engine ray` divides the work and writes one run folder. To merge existing "
        "shards, use version 0.2."
    ),
    "zooter queries --n": "use `--limit`, as with `zooter bench`.",
    "zooter queries --near": "the similarity threshold for near repeats is always 0.7.",
    "zooter queries --ngram": "eight words in a row always count as an overlap with a benchmark.",
    "zooter queries --tag-at-most": "at most 20,000 random queries are tagged, or as many as `--limit` asks for.",
    "zooter queries --tagger": "tags come from the files if every line has tags, otherwise from the fleet's tagger.",
    "zooter run --address": "name the cluster in RAY_ADDRESS, as in `RAY_ADDRESS=auto zooter run --engine ray ...`.",
    "zooter run --epochs": "use `--router-set epochs=N`.",
    "zooter run --gpus": (
        "leave it out. An actor of a model takes one GPU, or an equal share of one if there are more models than GPUs."
    ),
    "zooter run --parquet": (
        "pandas (`pd.read_json(path, lines=True)`) and duckdb read the .jsonl files of the run without conversion."
    ),
    "zooter serve --grace-seconds": "leave it out; running answers have 30 s to finish.",
    "zooter serve --keyfile": "append the private key to the file of --certfile: cat certificate.pem key.pem > FILE.",
    "zooter serve --log-prompts": (
        "the decision log never contains messages; `zooter serve --learn` stores the users' queries."
    ),
    "zooter serve keys --concurrent": "use `--limit concurrent=N`.",
    "zooter serve keys --requests-per-minute": "use `--limit requests-per-minute=N`.",
    "zooter serve keys --tokens-per-minute": "use `--limit tokens-per-minute=N`.",
    "zooter sweep": "`zooter evaluate --sweep beta=0,0.1,0.3,1 tau=0.3 --scores FILE` prints the same table.",
    "zooter tag": "call `zooter run --queries FILE --out DIR --until tag`, which also collects and scores.",
    "[[candidate]] connect_seconds": "the connection timeout is 5 s. Remove the key.",
    "[[candidate]] most_characters": "an answer is cut at 200,000 characters. Remove the key.",
    "[[candidate]] offload_folder": "offloaded weights are stored in the cache folder. Remove the key.",
    "[[candidate]] vllm": (
        'pass these arguments to `vllm serve`, and connect the candidate to the server with backend = "openai" and '
        "base_url (docs/own-gpus.md)."
    ),
    "[reward] batch": "a request contains 16 responses. Remove the key.",
    "[reward] cache": "rewards are always cached; `zooter setup --clear` deletes them. Remove the key.",
    "[reward] input": "the tokenizer's chat template is used if it has one, otherwise two segments. Remove the key.",
    "[reward] max_new_tokens": "a judge writes at most 1,024 tokens. Remove the key.",
    "[reward] timeout_seconds": "the timeout of a reward endpoint is 60 s. Remove the key.",
    "[reward] tries": "a judge is asked at most 3 times. Remove the key.",
    "[router] trigger": (
        "`unsure_above` is always compared with the margin between the two most probable candidates. Remove the key."
    ),
    "[serve] deadline_seconds": "the timeout of an answer is `answer_seconds` in [[candidate]]. Remove the key.",
    "[serve] requests_per_minute": "set limits for API keys: `zooter serve keys add NAME --limit`. Remove the key.",
    "[serve] tokens_per_minute": "set limits for API keys: `zooter serve keys add NAME --limit`. Remove the key.",
    "[[candidate]] token_limit": "Zooter detects which parameter a server accepts. Remove the key.",
    "[serve] most_messages": "a request may have 2,000 messages. Remove the key.",
    "[serve] most_prompt_tokens": (
        "`auto` gives a model no request beyond its `context_tokens` in [[candidate]], and API keys have limits: "
        "`zooter serve keys add NAME --limit`. Remove the key."
    ),
    "[serve] queue_seconds": "a request waits up to 60 s in the queue. Remove the key.",
    "[serve] switch_margin": "a conversation changes its model if another one leads by more than 0.1. Remove the key.",
    "[tagger] max_new_tokens": "the tagger writes at most 512 tokens. Remove the key.",
    "[tagger] template": "InsTagger's own prompt is used. Remove the key, or write a tagger plug-in (docs/plugins.md).",
    "backend kind vllm": (
        "start `vllm serve MODEL`, with `--enable-lora --lora-modules NAME=FOLDER ...` for adapters, and call "
        "`zooter init --endpoint http://localhost:8000/v1`, which adds a candidate for each (docs/own-gpus.md)."
    ),
    "router kind ridge": "use the default, `--router-kind auto`. Saved routers of this kind still work.",
    **dict.fromkeys(
        ("zooter distill --keep-texts", "zooter run --keep-texts"),
        "routers of `zooter exam` store the texts of their queries. For other routers, call `distill` in Python with "
        "`keep_texts=True` in its DistillConfig.",
    ),
    **dict.fromkeys(
        ("router kind cosine", "router kind knn", "router kind mf", "router kind routerdc"),
        "use the default, `--router-kind auto`. Train saved routers of this kind again with `zooter distill`.",
    ),
}


def check_gone(name: str) -> None:
    """Refuse a name that was removed.

    Args:
        name: as in GONE: `zooter extend`, `zooter demo --endpoint`, `[learn] redact`, `router kind knn`.

    Raises:
        ZooterError: the name was removed; the message says what to do instead.
    """
    if name in GONE:
        raise ZooterError.saying(f"`{name}` was removed: {GONE[name]}")
