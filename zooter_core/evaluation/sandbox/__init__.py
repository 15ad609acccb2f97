"""Runs untrusted Python functions against tests in a sandbox of the operating system. The entry point is `runner.run`.

A run has two processes (`process`). The *worker* executes the untrusted code. The *checker* executes the trusted check,
which calls the worker's function by message and gets plain values back. The checker gives the verdict. The worker never
sees the check, and can influence it only by the values that its function returns, which the check judges.

bubblewrap starts the checker in a sandbox (`runner`), and the checker starts the worker there. There are no guards
inside the interpreter, because Python code can undo them.
"""
