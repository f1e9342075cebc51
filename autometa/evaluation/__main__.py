"""The worker process: ``python -m autometa.evaluation``, started by :class:`autometa.evaluation.Worker`."""

from autometa.evaluation._worker import serve

if __name__ == "__main__":
    serve()
