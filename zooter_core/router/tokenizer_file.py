"""tokenizer.json of a stranger: its regular expressions run on every text that is routed, so they must end soon.

One such as `(a+)+$` takes longer than anybody waits on 40 letters, in code that nothing can stop. What is accepted
takes quadratic time at most, which covers the patterns of the known tokenizers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zooter_core.base.errors import WorkError, shortened
from zooter_core.base.strict_json import Pairs, parse_json

MOST_BRANCHES = 24  # of all patterns in one file
LONGEST = 1_000  # characters of a pattern
_CLASS = r"\[\^?(?:\\.|\[(?:\\.|[^\[\]\\])*\]|[^\[\]\\])+\]"
_ESCAPE = r"\\(?:[pP]\{\^?\w+\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[sSdDwWnrtfv]|\W)"
_ATOM = rf"(?:{_CLASS}|{_ESCAPE}|[^\\\[\]()*+?{{}}|^$])"
_WORDS = r"\(\?i:(?:'s\|'t\|'re\|'ve\|'m\|'ll\|'d|\[sdmt\]\|ll\|ve\|re)\)"
_ONE = rf"(?:(?:{_ATOM}|{_WORDS})(?:\{{\d\}})?)"
_FEW = rf"(?:{_ONE}*(?:{_ATOM}(?:\?\+?|\{{\d,\d\}}){_ONE}*){{0,2}})"  # each of the two may be there or not: a few ways
_MANY = rf"(?:{_ATOM}(?:[+*]\+?|\{{\d,\}}))"  # `{1,}+` is a repetition of a repetition
# One repetition may give back what it took, with little after it; a second one only ends the match.
_BRANCH = rf"\^?{_FEW}(?:{_MANY}(?:\(\?!\\S\)|\$)?|(?:{_MANY}{_FEW})?(?:{_MANY})?(?:{_WORDS}\?)?)"
_QUICK = re.compile(rf"(?:{_BRANCH})(?:\|{_BRANCH})*")


def check_patterns(path: Path) -> None:
    """Refuse a tokenizer.json with a regular expression that may take endless time.

    Raises:
        WorkError: it has one.
        ValueError: it is not JSON.
    """
    patterns: list[str] = []

    def note(pairs: Pairs) -> dict[str, Any]:  # also of a key that is there twice
        patterns.extend(value for key, value in pairs if key == "Regex" and isinstance(value, str))
        return dict(pairs)

    parse_json(path.read_bytes(), note)
    branches = 0
    for pattern in patterns:
        branches += pattern.count("|") + 1
        if len(pattern) > LONGEST or branches > MOST_BRANCHES or not _QUICK.fullmatch(pattern):
            raise WorkError(
                f"regular expressions in {path} that end soon",
                repr(shortened(pattern, 80)),
                "Use another encoder: only simple repetitions, as in known tokenizers, are accepted.",
            )
