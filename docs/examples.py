"""Print side-by-side examples of the embedded fleet as Markdown: the router's choice, every response and its reward.

python docs/examples.py FILE    (one query per line)
"""

from __future__ import annotations

import sys
from pathlib import Path

from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    quiet_libraries()
    ensemble = Ensemble(load_fleet(ROOT / "models" / "embedded"))
    for query in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        decision = ensemble.route(query)
        print(f"## {query}\n")
        chances = ", ".join(f"{name} {p:.0%}" for name, p in decision.probabilities.items())
        print(f"Router: **{decision.candidate}** ({chances})\n")
        for ranked in ensemble.rank(query):
            mark = " (chosen)" if ranked.response.candidate == decision.candidate else ""
            print(f"{ranked.rank}. **{ranked.response.candidate}**{mark}, reward {ranked.reward:.2f}\n")
            print("   ~~~text\n" + "\n".join(f"   {line}" for line in ranked.response.text.splitlines()) + "\n   ~~~\n")


if __name__ == "__main__":
    main()
