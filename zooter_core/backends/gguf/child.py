"""The process that runs llama.cpp: `python child.py SETTINGS FOLDER` (`engine.py`). Its socket is in FOLDER.

The script does not import this package, so that it starts quickly. SETTINGS is a JSON object whose keys are fields of
xllamacpp's CommonParams, "model" and "adapters".
"""

import json
import os
import shutil
import sys
from contextlib import suppress

SOCKET = "llama.sock"


def main() -> None:
    import xllamacpp

    folder = sys.argv[2]
    settings = {"hostnames": [os.path.join(folder, SOCKET)]} | json.loads(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = settings.pop("model")
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in settings.pop("adapters")]
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads, threads.poll = settings["threads"], 0
    del settings["threads"]
    for name, value in settings.items():
        setattr(params, name, value)
    try:
        server = xllamacpp.Server(params)
        report = {"address": server.listening_address}
    except Exception as problem:
        # A thread of llama.cpp is writing the reason to standard error, so the process must not end now.
        report = {"died": str(problem)}
    with suppress(BrokenPipeError):  # the process that started this one may have ended
        print(json.dumps(report), flush=True)
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)  # in case the parent was killed
    os._exit(0)  # nothing has to be saved, and waiting for computing threads would take time


if __name__ == "__main__":
    main()
