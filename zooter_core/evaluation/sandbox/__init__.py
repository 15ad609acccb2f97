"""Run untrusted Python functions against tests, in a sandbox of the operating system. The entry is `runner.run`.

A run has two processes (`process`). The *worker* executes the untrusted code. The *checker* executes the trusted check,
which calls the worker's function by message and gets plain values back. The checker gives the verdict: the
worker never sees the check, and can influence it only by what its function returns, which is what a check judges.

bubblewrap starts the checker in a sandbox (`runner`), and the checker starts the worker there. There are no guards
inside the interpreter, because Python code can undo them.
"""
