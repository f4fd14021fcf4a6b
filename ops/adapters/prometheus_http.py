"""How every adapter of Prometheus speaks to it: the client library, held inside bounds, and its many errors told as one.

The library's own retries are switched off: a hanging server would cost 14 s by its defaults, and whoever asks knows whether to ask again.
Its time-out bounds one read of the socket, not the answer: a body that drips, or has no end, is cut off here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ops.errors import MetricsUnavailable
from ops.ports import Clock

CONNECT_TIMEOUT_S = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_REASON_LENGTH = 200

_T = TypeVar("_T")


def connect(url: str, clock: Clock, most_bytes: int, method: str = "GET") -> Any:
    """A client for the Prometheus at `url`. With POST a query may be longer than a URL. Nothing is sent yet."""
    from prometheus_api_client import PrometheusConnect
    from urllib3.util.retry import Retry

    return PrometheusConnect(url=url, retry=Retry(total=0, read=False), session=bounded_session(url, clock, most_bytes), method=method)


def answered(url: str, read_timeout_s: float, ask: Callable[[], _T]) -> _T:
    """What `ask` returns; raises MetricsUnavailable with the reason for everything that the library and its parts raise."""
    import requests
    import urllib3
    from prometheus_api_client.exceptions import PrometheusApiClientException

    try:
        return ask()
    except requests.exceptions.Timeout as error:
        raise MetricsUnavailable(f"Prometheus did not answer within {read_timeout_s:.0f} s") from error
    except requests.exceptions.JSONDecodeError as error:
        raise MetricsUnavailable("Prometheus answered something that is not JSON") from error
    except requests.exceptions.ContentDecodingError as error:
        raise MetricsUnavailable(f"Prometheus did not answer within {error}") from error
    except requests.exceptions.RequestException as error:
        raise MetricsUnavailable(f"Prometheus cannot be reached at {url}") from error
    except PrometheusApiClientException as error:
        raise MetricsUnavailable(f"Prometheus refused the query: {str(error)[:_REASON_LENGTH]}") from error
    except urllib3.exceptions.HTTPError as error:
        raise MetricsUnavailable("Prometheus broke off in the middle of its answer") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MetricsUnavailable("Prometheus answered without a result") from error


def bounded_session(url: str, clock: Clock, most_bytes: int) -> Any:
    """A session whose answers are whole within their read time-out of the first byte, and no longer than `most_bytes`."""
    import requests
    from prometheus_api_client.exceptions import PrometheusApiClientException

    class Bounded(requests.Session):
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            if method == "POST":  # the library would put even then the whole query into the URL
                options["data"] = options.pop("params", None)
            return super().request(method, url, **options)

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            response = super().send(request, **{**options, "stream": True})
            deadline_s, body = clock.monotonic_s() + options["timeout"][1], bytearray()
            while chunk := response.raw.read1(65536, decode_content=True):
                body += chunk
                if len(body) > most_bytes:
                    response.close()
                    raise requests.exceptions.ContentDecodingError(f"{most_bytes / 1e6:.0f} MB: ask for less")
                if clock.monotonic_s() >= deadline_s:
                    response.close()
                    raise requests.exceptions.ReadTimeout(f"{len(body)} bytes of an answer without an end")
            response._content = bytes(body)
            if reason := _reason(response.status_code, response._content):
                raise PrometheusApiClientException(reason)
            return response

    session = Bounded()
    session.trust_env = urlsplit(url).hostname not in _LOOPBACK  # a proxy of the environment is not for this machine's own
    return session


def _reason(status: int, body: bytes) -> str:
    """Prometheus' own words for a refusal, when it has any."""
    if status == 200:
        return ""
    try:
        said = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f"{str(said)[:_REASON_LENGTH]} (HTTP status {status})"
