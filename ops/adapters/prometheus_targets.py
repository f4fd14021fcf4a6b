"""Prometheus' target file: which gateways are scraped, and under which track and version they appear.

A gateway does not know its track, because a canary becomes stable without a restart; so the labels are attached here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from engine import conventions as names
from ops.adapters.local import replace_file
from ops.conventions import Pool, Track
from ops.errors import MetricsUnavailable


class PrometheusTargets:
    """Implements ops.ports.Targets. `running` names the gateways of a pool that should run: the others are not scraped, or each
    empty slot would look like a dead gateway. Prometheus sees a new file within about a second."""

    def __init__(
        self, path: Path, env: str, exchange: str, running: Callable[[Pool], tuple[str, ...]], http_port: Callable[[str], int]
    ) -> None:
        self._path, self._tracks_path = path, path.with_name("tracks.json")
        self._env, self._exchange, self._running, self._http_port = env, exchange, running, http_port

    def label(self, tracks: Mapping[Pool, tuple[Track, str]]) -> None:
        self._replace(self._tracks_path, {str(pool): [str(track), version] for pool, (track, version) in tracks.items()})
        self.refresh()

    def refresh(self) -> None:
        """Follow a change of what runs, under the labels given last."""
        rows = [self._row(name, *label) for pool, label in self._tracks().items() for name in self._running(pool)]
        self._replace(self._path, rows)

    def _tracks(self) -> dict[Pool, tuple[str, str]]:
        try:
            data = json.loads(self._tracks_path.read_text(encoding="utf-8"))
            return {Pool(pool): (Track(track), str(version)) for pool, (track, version) in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            hint = "opsctl down, remove that file, opsctl up"
            raise MetricsUnavailable(f"{self._tracks_path} cannot be used: {error}", hint=hint) from error

    def _replace(self, path: Path, data: object) -> None:
        try:
            replace_file(path, json.dumps(data, indent=1) + "\n")
        except OSError as error:
            reason = f"{path} cannot be written: {error.strerror}"
            raise MetricsUnavailable(reason, hint="check the disk: without this file Prometheus cannot tell the tracks apart") from error

    def _row(self, name: str, track: str, version: str) -> dict[str, object]:
        labels = {
            names.LABEL_ENV: self._env,
            names.LABEL_EXCHANGE: self._exchange,
            names.LABEL_GATEWAY: name,
            names.LABEL_VERSION: version,
            names.LABEL_TRACK: track,
        }
        return {"targets": [f"127.0.0.1:{self._http_port(name)}"], "labels": labels}
