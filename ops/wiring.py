"""The one place that builds adapters and hands them to flows. Everything is imported when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ops.config import declared_dir
from ops.conventions import Pool

if TYPE_CHECKING:
    from ops.adapters.haproxy import HaproxyTraffic
    from ops.adapters.prometheus_targets import PrometheusTargets
    from ops.adapters.supervisor import SupervisorDaemon
    from ops.adapters.supervisor_cluster import SlotsFile, SupervisorCluster
    from ops.deploy.rollback import Ports as DeployPorts
    from ops.ports import Clock, Queries, Releases, Store
    from ops.venue.files import VenueRoles
    from ops.venue.model import Site, Tools, Venue


def roles(state: Path) -> VenueRoles:
    from ops.venue.files import VenueRoles

    return VenueRoles(state)


def tools() -> Tools:
    """Raises UsageError naming what is not installed."""
    from ops.adapters.local import find_program, own_program
    from ops.venue.model import Tools

    return Tools(
        python=Path(sys.executable),
        exchange=own_program("exchange"),
        haproxy=find_program("haproxy", "haproxy"),
        prometheus=find_program("prometheus", "prometheus"),
        alertmanager=find_program("prometheus-alertmanager", "prometheus-alertmanager", "alertmanager"),
    )


def supervisor(state: Path) -> SupervisorDaemon:
    from ops.adapters.clock import SystemClock
    from ops.adapters.supervisor import SupervisorDaemon
    from ops.venue.model import Layout

    layout = Layout(state)
    return SupervisorDaemon(layout.supervisor_conf, layout.supervisor_socket, layout.supervisor_pid, layout.output, SystemClock())


def _slots(state: Path, venue: Venue) -> SlotsFile:
    from ops.adapters.supervisor_cluster import SlotsFile
    from ops.venue.model import Layout

    return SlotsFile(Layout(state).slots, {pool: venue.names(pool) for pool in Pool})


def cluster(state: Path, venue: Venue) -> SupervisorCluster:
    from ops.adapters.releases import LocalReleases
    from ops.adapters.supervisor import files_soft_limit
    from ops.adapters.supervisor_cluster import SupervisorCluster
    from ops.venue.model import Layout
    from ops.venue.setup import supervisor_text

    layout = Layout(state)

    def conf_text(versions: Mapping[Pool, str]) -> str:
        return supervisor_text(venue, layout, tools(), LocalReleases(state), versions, files_soft_limit())

    changed = targets(state, venue).refresh
    return SupervisorCluster(supervisor(state), layout.supervisor_conf, _slots(state, venue), venue.http_port, conf_text, changed)


def traffic(state: Path, venue: Venue) -> HaproxyTraffic:
    from ops.adapters.haproxy import HaproxyTraffic
    from ops.venue.decide import haproxy_file
    from ops.venue.model import Layout

    layout = Layout(state)
    return HaproxyTraffic(layout.haproxy_config, haproxy_file(venue, layout), _slots(state, venue).wanted)


def targets(state: Path, venue: Venue) -> PrometheusTargets:
    from ops.adapters.prometheus_targets import PrometheusTargets
    from ops.venue.model import Layout

    return PrometheusTargets(Layout(state).targets, venue.env, venue.exchange, _slots(state, venue).wanted, venue.http_port)


def log_lines(state: Path, name: str, lines: int, follow: bool, clock: Clock) -> Iterator[str]:
    """The end of a process's log and, with `follow`, what is added, without an end."""
    from ops.adapters.local import follow_file, tail
    from ops.venue.model import Layout

    path = Layout(state).output_of(name)
    return follow_file(path, lines, clock) if follow else iter(tail(path, lines))


def site(state: Path) -> Site:
    """What `up`, `down` and `status` work with."""
    import engine
    from ops.adapters.clock import SystemClock
    from ops.adapters.local import LocalHost
    from ops.adapters.releases import LocalReleases
    from ops.venue.model import Crew, Layout, Site

    def crew(venue: Venue) -> Crew:
        return Crew(cluster(state, venue), traffic(state, venue), targets(state, venue))

    return Site(
        layout=Layout(state),
        supervisor=supervisor(state),
        host=LocalHost(),
        releases=LocalReleases(state),
        clock=SystemClock(),
        tools=tools,
        crew=crew,
        alerts=lambda: declared_dir("alerts"),
        slo=lambda: declared_dir("slo"),
        own_version=engine.__version__,
    )


def pipeline_file() -> Path:
    """The pipeline that `opsctl deploy` uses when none is named."""
    return declared_dir("pipelines") / "canary.yaml"


def releases(state: Path) -> Releases:
    from ops.adapters.releases import LocalReleases

    return LocalReleases(state)


def store(state: Path) -> Store:
    from ops.adapters.store import SqliteStore

    return SqliteStore(state / "journal.db")


def deploy_ports(state: Path, prometheus_url: str | None) -> DeployPorts:
    """Everything a release talks to. Raises Unavailable when there is no venue in `state`."""
    from ops.adapters.clock import SystemClock
    from ops.adapters.lease import FileLease, FileLock
    from ops.adapters.prometheus import PrometheusMetrics
    from ops.deploy.rollback import Ports as DeployPorts
    from ops.venue.files import load_existing
    from ops.venue.model import Layout

    venue, clock, run = load_existing(state), SystemClock(), Layout(state).lock.parent
    return DeployPorts(
        clock=clock,
        traffic=traffic(state, venue),
        cluster=cluster(state, venue),
        metrics=PrometheusMetrics(prometheus_url or f"http://127.0.0.1:{venue.ports.prometheus}", clock),
        targets=targets(state, venue),
        roles=roles(state),
        store=store(state),
        lease=FileLease(run / "canary.lease", clock),
        lock=FileLock(run / "release.lock", clock),
    )


def release_under_way(state: Path) -> bool:
    """Whether an `opsctl deploy` or `rollback` works on the venue now."""
    from ops.adapters.clock import SystemClock
    from ops.adapters.lease import FileLock
    from ops.venue.model import Layout

    return FileLock(Layout(state).lock.parent / "release.lock", SystemClock()).held()


def queries(url: str) -> Queries:
    """The Prometheus at `url`, to ask anything. Raises UsageError when `url` is no address of one."""
    from ops.adapters.clock import SystemClock
    from ops.adapters.prometheus_query import PrometheusQueries

    return PrometheusQueries(url, SystemClock())


def venue_prometheus(state: Path) -> tuple[str, str]:
    """The name of the venue in `state`, and the address of its own Prometheus. Raises Unavailable when there is none."""
    from ops.venue.files import load_existing

    venue = load_existing(state)
    return venue.exchange, f"http://127.0.0.1:{venue.ports.prometheus}"
