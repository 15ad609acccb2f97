"""A router's choices in the form of RouterArena's prediction files.

RouterArena (github.com/RouteWorks/RouterArena) reads a JSON array of {"global index", "prompt", "prediction", ...} and
fills in the rest itself. Its data set is an array of objects with "global index" and "prompt_formatted" or "prompt".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import check_file, open_atomic
from zooter_core.base.records import Decision
from zooter_core.base.strict_json import dump_json
from zooter_core.data.formats.reading import each_record, text_of
from zooter_core.data.scores import each_query

BATCH = 64
INDEX = ("global index", "global_index", "Global Index")


def export_routerarena(
    route: Callable[[Sequence[str]], Sequence[Decision]], queries: Path, out: Path
) -> dict[str, int]:
    """Route each query and write a prediction file, atomically.

    Args:
        route: a router's decisions about some queries.
        queries: RouterArena's data set (.json), or a queries file with ids, which then are the global indices.

    Returns:
        candidate -> how many queries it was chosen for, in pool order.

    Raises:
        ZooterError: a record is wrong, or there is no query.
        WorkError: the disk is full.
    """
    check_file(out, [queries])
    prompts = _queries(queries)
    counts: dict[str, int] = {}
    with open_atomic(out) as file:
        between = "[\n"
        while batch := list(islice(prompts, BATCH)):
            decisions = route([prompt for _, prompt in batch])
            counts = counts or dict.fromkeys(decisions[0].probabilities, 0)
            for (index, prompt), decision in zip(batch, decisions, strict=True):
                counts[decision.candidate] += 1
                file.write(between + _prediction(index, prompt, decision.candidate))
                between = ",\n"
        file.write("\n]\n" if counts else "[]\n")
        if not counts:
            raise ZooterError(f"at least one query in {queries}", "none", "Check the file.")
    return counts


def _prediction(index: str, prompt: str, candidate: str) -> str:
    """Both spellings of the index, because RouterArena's own programs use both."""
    shape = {"global index": index, "global_index": index, "prompt": prompt, "prediction": candidate}
    return dump_json(shape | {"generated_result": None, "cost": None, "accuracy": None}, ensure_ascii=False)


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    """Each query's index and text."""
    indices: set[str] = set()
    if path.name.endswith((".json", ".json.gz")):
        prompts = ((place, *_indexed(record, place)) for place, record in each_record(path))
    else:
        prompts = ((place, query.id, query.text) for place, _, query in each_query(path))
    for place, index, prompt in prompts:
        if index in indices:
            raise ZooterError(f"different indices, in {place}", f'"{index}" again', "Correct or remove the record.")
        indices.add(index)
        yield index, prompt


def _indexed(record: dict[str, Any], place: str) -> tuple[str, str]:
    index = next((record[name] for name in INDEX if record.get(name) is not None), None)
    if index is None:
        raise ZooterError(f'"global index" in {place}', listed(record)[:60], "Give RouterArena's data set.")
    return str(index), text_of(record, "prompt_formatted" if record.get("prompt_formatted") else "prompt", place)
