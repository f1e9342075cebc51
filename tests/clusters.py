"""A Dask cluster of processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest


@contextmanager
def start_cluster(folder: Path, n_workers: int) -> Iterator[str]:
    """Start a scheduler and worker processes with a thread each; have the scheduler's address."""
    distributed = pytest.importorskip("distributed")
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    dask = [sys.executable, "-m", "dask"]
    here = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file))
    scheduler = [*dask, "scheduler", *here, "--port", "0"]
    worker = [*dask, "worker", *here, "--nworkers", str(n_workers), "--nthreads", "1"]
    with ExitStack() as stack:
        for command in (scheduler, worker):
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    env=environment,
                    cwd=folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.terminate)
        deadline = time.monotonic() + 120
        while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=120)
        yield address
