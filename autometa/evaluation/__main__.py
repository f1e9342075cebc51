"""The worker process: ``python -m autometa.evaluation``, started by :class:`autometa.evaluation.Worker`."""

from contextlib import suppress

from autometa.evaluation._worker import serve

if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the parent is gone, and nobody waits for the answer
        serve()
