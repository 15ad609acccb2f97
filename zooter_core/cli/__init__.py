"""The command line. Each command is a file with a function of the same name, and is loaded when it is called.

To add a command, add the file and a line to COMMANDS. A space becomes an underscore, as in `serve_keys.py`.
"""

COMMANDS = {  # name -> description in `zooter --help`
    "init": "Write a fleet.toml from the models that run on this machine.",
    "demo": "Open the web demo.",
    "serve": "Serve the fleet as an OpenAI-compatible endpoint that routes.",
    "serve keys": "Add, list or remove API keys of the endpoint.",
    "learn": "Train better routers on served traffic, and use each one once it has proved better.",
    "learn import": "Add logs of other programs to the traffic that a router learns from.",
    "learn forget": "Delete traffic by API key, user, request or age.",
    "report": "Show what routing is worth, compared with always using one model, a random one, or all of them.",
    "setup": "Install the weights of the embedded fleet.",
    "ask": "Route a query to one model and stream its answer.",
    "route": "Show the router's probabilities, tags and choice for a query, or for each line of stdin.",
    "compare": "Run every model on a query, or on each line of stdin, and rank the responses by reward.",
    "exam": "Let a fleet's models answer a set of questions, and train a router on the answers.",
    "trust": "Allow a fleet to send API keys to the servers in its fleet.toml.",
    "check": "Test every part of a fleet and measure its speed.",
    "queries": "Select a diverse set of queries to train on.",
    "run": "Run the whole pipeline: collect, score, tag, label, distill, report.",
    "score": "Score the responses of a run, or those in a file.",
    "distill": "Train a router on the labels of a run, or on score files.",
    "bench": "Answer a public benchmark with every model and score the answers.",
    "evaluate": "Evaluate a router on score files: reward, regret, MTR, %Uplift; or compare values of beta and tau.",
}
