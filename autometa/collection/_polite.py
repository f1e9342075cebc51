"""Asking a server politely: a pause between requests, a limit to waiting, and growing pauses when it fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import requests
import urllib3

T = TypeVar("T")
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


class NoAnswer(Exception):
    """The server gave no answer that can be used; another attempt may get one."""


class Unusable(NoAnswer):
    """The server answered, and what it sent is broken."""


class Refused(NoAnswer):
    """The server answered that it will not give what was asked for."""


def _keep_silent(line: str) -> None:
    """Tell nobody."""


class Connection:
    """How a server is asked. A copy in another process keeps its own pace, and is silent.

    Parameters
    ----------
    timeout : float, default=60.0
        Seconds without a sign of the server after which a request has failed.
    pause : float, default=0.5
        Least seconds between two requests.
    attempts : int, default=5
        How often a task is tried; once only while nothing at all could be had from the server.
    backoff : float, default=1.0
        Seconds before the second attempt; twice as many before each further one, and up to as many again by chance.
    notify : callable, optional
        Called with a line for what is tried again, and for what has changed on the server.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        pause: float = 0.5,
        attempts: int = 5,
        backoff: float = 1.0,
        notify: Callable[[str], None] = _keep_silent,
    ) -> None:
        self.timeout = timeout
        self.notify = notify
        self._pause = pause
        self._attempts = attempts
        self._backoff = backoff
        self._is_answering = True
        self._next_request = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "notify": _keep_silent, "_is_answering": True, "_next_request": 0.0}

    def ask(self, call: Callable[[int], T], what: str) -> T:
        """Call with the number of the attempt, from 0, until one succeeds.

        Raises
        ------
        NoAnswer
            The last attempt's.
        """
        attempts = self._attempts if self._is_answering else 1
        attempt = 0
        while True:
            try:
                answer = call(attempt)
            except NoAnswer as error:
                attempt += 1
                if isinstance(error, Refused) or attempt >= attempts:
                    self._is_answering = isinstance(error, (Unusable, Refused))
                    raise
                seconds = self._backoff * 2 ** (attempt - 1) * random.uniform(1, 2)
                self.notify(f"{what}: {error}; asked again in {seconds:.1f} seconds")
                time.sleep(seconds)
            else:
                self._is_answering = True
                return answer

    def session(self) -> requests.Session:
        """Return a session that keeps these manners."""
        return _PoliteSession(self)

    def pool(self) -> urllib3.PoolManager:
        """Return connections for clients that do not use requests: with the same limit, and tried once."""
        self.wait()
        return urllib3.PoolManager(timeout=self.timeout, retries=urllib3.Retry(0))

    def wait(self) -> None:
        """Let the pause since the last request pass."""
        time.sleep(max(self._next_request - time.monotonic(), 0.0))
        self._next_request = time.monotonic() + self._pause


class _PoliteSession(requests.Session):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request; what comes back is an answer of the server's protocol, whole."""
        self._connection.wait()
        try:
            response = super().request(method, url, *args, **{"timeout": self._connection.timeout, **options})
        # The messages of requests hold the address, and the address may hold a key: they are not passed on.
        except requests.Timeout:
            raise NoAnswer(f"no answer within {self._connection.timeout:g} seconds") from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise NoAnswer("the download broke off") from None
        except requests.RequestException as error:
            raise NoAnswer(f"the connection failed ({type(error).__name__})") from None
        if response.status_code >= _SERVER_ERROR or response.status_code == _TOO_MANY_REQUESTS:
            raise NoAnswer(f"the server answered {response.status_code}")
        if _is_page(response):
            raise NoAnswer("the server sent an HTML page in place of data")
        return response


def _is_page(response: requests.Response) -> bool:
    head = response.content[:200].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))
