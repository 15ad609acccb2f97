"""The process in which vLLM runs: `python child.py SETTINGS FOLDER` (`server_process`).

It imports nothing of this package, so that vLLM may be installed in another environment. SETTINGS is JSON: arguments
of vLLM's EngineArgs by name. A line on standard input is a request, or the numbers of requests to abort; a line on
standard output is what came of one. What libraries print goes to standard error.
"""

import json
import multiprocessing
import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

GRACE_SECONDS = 20.0  # for vLLM to end its own processes
LEADS = os.getpgid(0) == os.getpid()  # whether this process leads a process group of its own


def end_all() -> None:
    """End this process and all that it has started."""
    if LEADS:
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Inbox:
    """The lines of standard input as they come; None at its end."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="read", daemon=True).start()

    def _read(self) -> None:
        # Not from sys.stdin: vLLM may fork, and a fork closes that, which waits for whoever reads it.
        for line in os.fdopen(os.dup(0), encoding="utf-8"):
            self._messages.put(json.loads(line))
        shutil.rmtree(sys.argv[2], ignore_errors=True)  # a parent that was killed could not do it
        self._messages.put(None)
        # Whoever started this process is gone, or wants it to end. If vLLM is loading or hangs, everything ends here.
        timer = threading.Timer(GRACE_SECONDS, end_all)
        timer.daemon = True
        timer.start()

    def take(self, wait: bool) -> Iterator[dict[str, Any] | None]:
        """All messages that have come. With `wait`, at least one."""
        with suppress(queue.Empty):
            yield self._messages.get(wait)
            while True:
                yield self._messages.get_nowait()


class Child:
    """vLLM's engine, with the adapters that it has loaded."""

    def __init__(self, replies: Any) -> None:
        self._replies, self._lock, self._ending = replies, threading.Lock(), False
        self._adapters: dict[int, Any] = {}

    def reply(self, **facts: Any) -> None:
        with self._lock, suppress(BrokenPipeError):
            print(json.dumps(facts), file=self._replies, flush=True)

    def _watch(self) -> None:
        """End with the first process of vLLM that ends. Its engine waits for ever for one that was killed."""
        processes = multiprocessing.active_children()
        if processes:
            wait([process.sentinel for process in processes])
            ended = next(process for process in processes if process.exitcode is not None)
            if not self._ending:
                self.reply(died="", code=ended.exitcode)
                os._exit(1)

    def run(self, settings: dict[str, Any]) -> None:
        """Load the model, and answer until standard input ends."""
        inbox = Inbox()
        try:
            import vllm

            engine = vllm.LLMEngine.from_engine_args(vllm.EngineArgs(**settings))
            threading.Thread(target=self._watch, name="watch", daemon=True).start()
            config = engine.vllm_config
            self.reply(positions=config.model_config.max_model_len, room=config.scheduler_config.max_num_seqs)
            while True:
                for message in inbox.take(wait=not engine.has_unfinished_requests()):
                    if message is None:
                        self._ending = True
                        engine.engine_core.shutdown()
                        return
                    self._begin(engine, message)
                if engine.has_unfinished_requests():
                    for output in engine.step():
                        self._tell(output)
        except BaseException as problem:
            self.reply(died=f"{type(problem).__name__}: {problem}")
            raise

    def _begin(self, engine: Any, message: dict[str, Any]) -> None:
        import vllm
        from vllm.sampling_params import RequestOutputKind

        if "abort" in message:
            engine.abort_request([str(number) for number in message["abort"]])
            return
        adapter = None
        try:
            if message["adapter"]:
                adapter = self._adapter(engine, *message["adapter"])
            params = vllm.SamplingParams(**message["params"], output_kind=RequestOutputKind.DELTA)
            prompt = vllm.TokensPrompt(prompt_token_ids=message["prompt"])
            engine.add_request(str(message["number"]), prompt, params, lora_request=adapter)
        except Exception as problem:
            if type(problem).__name__ == "EngineDeadError":
                raise
            broken = bool(message["adapter"]) and adapter is None
            self.reply(number=message["number"], error=f"{type(problem).__name__}: {problem}", adapter=broken)

    def _adapter(self, engine: Any, number: int, path: str) -> Any:
        """vLLM's name for an adapter. It is loaded now: one that breaks in the middle of a batch ends the engine."""
        from vllm.lora.request import LoRARequest

        if number not in self._adapters:
            adapter = LoRARequest(f"adapter{number}", number, path)
            engine.add_lora(adapter)
            self._adapters[number] = adapter
        return self._adapters[number]

    def _tell(self, output: Any) -> None:
        (answer,) = output.outputs
        finish = answer.finish_reason if output.finished else None
        self.reply(number=int(output.request_id), text=answer.text, tokens=len(answer.token_ids), finish=finish)


def main() -> None:
    """Run vLLM in a fork, and end all that it has started when that ends.

    vLLM's engine outlives the process that started it if that is killed, and keeps its GPU. Ray kills the children of a
    worker that ends, but not theirs: then the fork, which sees the end of standard input, ends the others.
    """
    fork = os.fork()
    if fork:
        os.close(0)
        code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        print(json.dumps({"died": "", "code": code}), flush=True)
        end_all()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        Child(replies).run(json.loads(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    end_all()


if __name__ == "__main__":
    main()
