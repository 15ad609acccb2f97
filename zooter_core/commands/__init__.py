"""The commands by name: a plain dict of name -> import path, loaded when one is called."""

COMMANDS = {
    "demo": "zooter_core.commands.demo:demo",
    "ask": "zooter_core.commands.queries:ask",
    "route": "zooter_core.commands.queries:route",
    "compare": "zooter_core.commands.queries:compare",
    "check": "zooter_core.commands.check:check",
    "queries": "zooter_core.commands.curate:queries",
    "run": "zooter_core.commands.pipeline:run",
    "collect": "zooter_core.commands.pipeline:step",
    "score": "zooter_core.commands.pipeline:score",
    "tag": "zooter_core.commands.pipeline:step",
    "label": "zooter_core.commands.pipeline:step",
    "distill": "zooter_core.commands.pipeline:distill",
    "import": "zooter_core.commands.imports:import_",
    "export": "zooter_core.commands.imports:export",
    "bench": "zooter_core.commands.bench:bench",
    "evaluate": "zooter_core.commands.evaluate:evaluate",
    "extend": "zooter_core.commands.extend:extend",
    "sweep": "zooter_core.commands.pipeline:sweep",
}
