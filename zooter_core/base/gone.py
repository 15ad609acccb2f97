"""Names that the previous version had, each with what to do instead. The next version drops this list.

Code that refuses an unknown command, option, key or kind looks here first.
"""

from __future__ import annotations

from zooter_core.base.errors import ZooterError

GONE: dict[str, str] = {  # name -> what to do instead: the end of a sentence, and further ones
    "zooter bench --judge-fleet": "`--judge DIR` names the folder of the judge's fleet.",
    "zooter bench --no-sandbox": "HumanEval's code runs in the sandbox alone. docs/bench.md lists what that needs.",
    "zooter bench --suite": "name the benchmark itself: `zooter bench gsm8k --from FILE --out FILE`.",
    "zooter cache": "`zooter setup --clear` deletes the stored embeddings and rewards.",
    "zooter collect": (
        "call `zooter run --queries FILE --out DIR --until collect`; a later call without --until goes on."
    ),
    "zooter demo --address": "write --host, as `zooter serve` has it.",
    "zooter demo --embed-from": "write --allowed-origin, as `zooter serve` has it.",
    "zooter demo --endpoint": "call `zooter demo --fleet DIR` with the fleet that the endpoint serves.",
    "zooter demo --history": (
        "name the file in the variable ZOOTER_HISTORY, or turn the history off with ZOOTER_HISTORY=off."
    ),
    "zooter distill --epochs": "use `--router-set epochs=N`.",
    "zooter distill --strict": "the notes of every command that reads score files say which scores are missing.",
    "zooter distill --tagger": (
        "the tags of the score files count if they have any, otherwise clusters of similar queries. For others use "
        "Python: `distill(..., tags=...)`."
    ),
    "zooter evaluate --judge-fleet": "`--fleet DIR --rmr --plot FILE.html` also keeps the best by that fleet's reward.",
    "zooter evaluate --prices": "`--fleet DIR` names the prices, also beside --router.",
    "zooter evaluate --robust": (
        "in a checkout of the repository, `python benchmarks/formats.py robustness SCORES --router DIR` measures it."
    ),
    "zooter evaluate --select": "`--plot FILE.html` measures cost and quality, and plots them.",
    "zooter evaluate --strict": "the notes of every command that reads score files say which scores are missing.",
    "zooter evaluate --tokens": "a response that the files lack counts as 300 tokens.",
    "zooter export": "a router's folder is portable as it is; copy it, and name it as path in [router].",
    "zooter extend": (
        "add the model to fleet.toml and call `zooter run` with the same --out, or `zooter exam`, again; only the "
        "new model is asked. A model that leaves fleet.toml needs nothing. Of score files, `zooter distill "
        "--scores FILE... --out DIR` makes a router with the new scores."
    ),
    "zooter import": "in a checkout of the repository, `python benchmarks/formats.py` reads the same formats.",
    "zooter label": (
        "call `zooter run --queries FILE --out DIR --until label`, with --beta, --tau, --normalise and --holdout "
        "as before."
    ),
    "zooter merge": (
        "on several machines, `zooter run --engine ray` divides the work and fills one run folder. Shards that are "
        "there already are put together by version 0.2."
    ),
    "zooter queries --n": "it is `--limit` now, as in `zooter bench`.",
    "zooter queries --near": "near repeats are found at a similarity of 0.7.",
    "zooter queries --ngram": "eight words in a row count as an overlap with a benchmark.",
    "zooter queries --tag-at-most": "a random 20,000 queries are tagged at most, or as many as `--limit` asks for.",
    "zooter queries --tagger": "the tags in the files are used where every line has them, else the fleet's tagger.",
    "zooter run --address": "name the cluster in RAY_ADDRESS, as in `RAY_ADDRESS=auto zooter run --engine ray ...`.",
    "zooter run --epochs": "use `--router-set epochs=N`.",
    "zooter run --gpus": (
        "leave it out. An actor of a model takes one GPU, or an equal share of one where there are more models "
        "than GPUs."
    ),
    "zooter run --parquet": (
        "the .jsonl files of the run are read by pandas (`pd.read_json(path, lines=True)`) and by duckdb as they are."
    ),
    "zooter serve --grace-seconds": "leave it out; running answers have 30 s to finish.",
    "zooter serve --keyfile": "put the private key into the file of --certfile: cat certificate.pem key.pem > FILE.",
    "zooter serve --log-prompts": "the decision log never has messages; `zooter serve --learn` keeps users' queries.",
    "zooter serve keys --concurrent": "write `--limit concurrent=N`.",
    "zooter serve keys --requests-per-minute": "write `--limit requests-per-minute=N`.",
    "zooter serve keys --tokens-per-minute": "write `--limit tokens-per-minute=N`.",
    "zooter sweep": "`zooter evaluate --sweep beta=0,0.1,0.3,1 tau=0.3 --scores FILE` prints the same table.",
    "zooter tag": "call `zooter run --queries FILE --out DIR --until tag`, which also collects and scores.",
    "[[candidate]] connect_seconds": "Zooter waits 5 s for a connection. Remove the key.",
    "[[candidate]] most_characters": "an answer is cut at 200,000 characters. Remove the key.",
    "[[candidate]] offload_folder": "weights that must be rewritten for it go to the cache folder. Remove the key.",
    "[[candidate]] vllm": (
        'give these arguments to `vllm serve`, and name the server in the candidate by backend = "openai" and '
        "base_url (docs/own-gpus.md)."
    ),
    "[reward] batch": "16 responses go into a request. Remove the key.",
    "[reward] cache": "rewards are always cached; `zooter setup --clear` deletes them. Remove the key.",
    "[reward] input": "the tokenizer's chat template is read if there is one, else two segments. Remove the key.",
    "[reward] max_new_tokens": "a judge writes up to 1,024 tokens. Remove the key.",
    "[reward] timeout_seconds": "a reward endpoint has 60 s to answer. Remove the key.",
    "[reward] tries": "a judge is asked up to 3 times. Remove the key.",
    "[router] trigger": "`unsure_above` looks at the margin between the two most probable candidates. Remove the key.",
    "[serve] deadline_seconds": "a model's answer may take its `answer_seconds` in [[candidate]]. Remove the key.",
    "[serve] requests_per_minute": "API keys have limits: `zooter serve keys add NAME --limit`. Remove the key.",
    "[serve] tokens_per_minute": "API keys have limits: `zooter serve keys add NAME --limit`. Remove the key.",
    "[[candidate]] token_limit": "the name that a server wants is found out. Remove the key.",
    "[serve] most_messages": "a request may have 2,000 messages. Remove the key.",
    "[serve] most_prompt_tokens": (
        "`auto` gives a model no request beyond its `context_tokens` in [[candidate]], and API keys have limits: "
        "`zooter serve keys add NAME --limit`. Remove the key."
    ),
    "[serve] queue_seconds": "a request waits up to 60 s for a place. Remove the key.",
    "[serve] switch_margin": "a conversation changes its model if another one leads by more than 0.1. Remove the key.",
    "[tagger] max_new_tokens": "the tagger writes up to 512 tokens. Remove the key.",
    "[tagger] template": "InsTagger's own prompt is used. Remove the key, or write a tagger plug-in (docs/plugins.md).",
    "backend kind vllm": (
        "start `vllm serve MODEL`, with `--enable-lora --lora-modules NAME=FOLDER ...` for adapters, and call "
        "`zooter init --endpoint http://localhost:8000/v1`, which makes a candidate of each (docs/own-gpus.md)."
    ),
    "router kind ridge": "use the default, `--router-kind auto`. Saved routers of this kind can still be used.",
    **dict.fromkeys(
        ("zooter distill --keep-texts", "zooter run --keep-texts"),
        "routers of `zooter exam` keep the texts of their queries. For others use Python: `distill` keeps them "
        "with `keep_texts=True` in its DistillConfig.",
    ),
    **dict.fromkeys(
        ("router kind cosine", "router kind knn", "router kind mf", "router kind routerdc"),
        "use the default, `--router-kind auto`. A saved router of this kind must be made again with `zooter distill`.",
    ),
}


def check_gone(name: str) -> None:
    """Refuse a name that is gone.

    Args:
        name: as in GONE: `zooter extend`, `zooter demo --endpoint`, `[learn] redact`, `router kind knn`.

    Raises:
        ZooterError: it is gone; the message says what to do instead.
    """
    if name in GONE:
        raise ZooterError.saying(f"`{name}` is gone: {GONE[name]}")
