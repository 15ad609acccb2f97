"""The commands by name: a plain dict of name -> import path, loaded when one is called."""

COMMANDS = {
    "demo": "zooter_core.cli.demo:demo",
    "ask": "zooter_core.cli.ask:ask",
    "route": "zooter_core.cli.ask:route",
    "compare": "zooter_core.cli.ask:compare",
    "check": "zooter_core.cli.check:check",
    "queries": "zooter_core.cli.queries:queries",
    "run": "zooter_core.cli.pipeline:run",
    "collect": "zooter_core.cli.pipeline:step",
    "score": "zooter_core.cli.pipeline:score",
    "tag": "zooter_core.cli.pipeline:step",
    "label": "zooter_core.cli.pipeline:step",
    "distill": "zooter_core.cli.pipeline:distill",
    "import": "zooter_core.cli.formats:import_",
    "export": "zooter_core.cli.formats:export",
    "bench": "zooter_core.cli.bench:bench",
    "evaluate": "zooter_core.cli.evaluate:evaluate",
    "extend": "zooter_core.cli.extend:extend",
    "sweep": "zooter_core.cli.pipeline:sweep",
}
