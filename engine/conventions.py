"""Every external name the venue shows: metric names, label values, paths, headers. `ops.conventions` adds the toolkit's own.

A name appears here once and nowhere else; docs/metrics.md is checked against this file.
Labels `env, exchange, gateway, version, track` are attached by Prometheus from its target file (written by
`opsctl`), because a process does not know which track it serves: a canary becomes stable without a restart.
"""

from __future__ import annotations

ORDER_ACK_SECONDS = "exchange_order_ack_seconds"
"""Histogram: order's bytes read (all of them: a slow sender is not a slow venue) to acknowledgement ready, at the gateway."""
ORDER_ACK_BUCKETS_S = (
    0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""5 us to 10 s, with the 0.5 s bound of row O11."""
ORDERS_SUBMITTED = "exchange_orders_submitted_total"
ORDERS_COMPLETED = "exchange_orders_completed_total"
"""Orders answered with a fill, a rest or a reject within COMPLETION_BOUND_S of submission (O11)."""
COMPLETION_BOUND_S = 5.0
ORDERS_REJECTED = "exchange_orders_rejected_total"
"""Label: reason (a RejectReason name in lower case, or a gateway error code; bounded by ERROR_CODES)."""
HTTP_REQUESTS = "exchange_http_requests_total"
"""Labels: route (one of ROUTES), code (HTTP status)."""
ZOMBIE_ORDERS = "exchange_zombie_orders"
"""Gauge: orders in flight for longer than COMPLETION_BOUND_S."""
QUEUE_DEPTH = "exchange_queue_depth"
"""Gauge. Gateway: requests waiting for the core. Core: commands read but not yet applied."""
CORE_LINK_UP = "exchange_core_link_up"
COMMANDS_PROCESSED = "exchange_commands_processed_total"
"""Counter at the core: commands that are in the log; its rate() is the processing rate (O9)."""
COMMANDS_SETTLED = "exchange_commands_settled_total"
COMMANDS_ANSWERED = "exchange_commands_answered_total"
"""Counters at the gateway: commands (orders, cancels, amendments) handed to the core whose wait is over, and those of them that the core
answered. Both change at the same moment of the same page, so no scrape finds a command in one and not yet in the other; a comparison with
COMMANDS_PROCESSED, which is on another page, would find many."""
LAST_TICK_TIMESTAMP = "exchange_market_data_last_tick_timestamp_seconds"
"""When a book last changed. No measure of freshness: a quiet market is not a stale one."""
MARKET_DATA_AGE_SECONDS = "exchange_market_data_age_seconds"
"""Histogram: how old the gateway's view of the books can be, observed once per MARKET_DATA_TICK_S (engine/gateway/feed.py)."""
MARKET_DATA_TICK_S = 0.025
"""Four ticks fit into O11's bound of 0.1 s, so that one late answer is not yet a breach."""
MARKET_DATA_AGE_BUCKETS_S = (0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""With the 0.1 s bound of row O11. Below one tick there is nothing to see."""
LOG_SEQ_NUM = "exchange_log_seq_num"
"""Gauge: written, on the disk or not yet."""
LOG_DURABLE_SEQ_NUM = "exchange_log_durable_seq_num"
"""Gauge: on the disk. Only under the acknowledgement policy `device`."""
LOG_HEALTHY = "exchange_log_healthy"
"""Gauge: 1 while the log takes commands, 0 during recovery and after a write that failed."""
PARTITION_COMMANDS = "exchange_partition_commands_total"
PARTITION_QUEUE_DEPTH = "exchange_partition_queue_depth"
PARTITION_LIVE_ORDERS = "exchange_partition_live_orders"
"""The same figures of one partition of the core. Label: partition, from 0. The others are sums over all partitions."""
SNAPSHOT_SEQ_NUM = "exchange_snapshot_seq_num"
"""Gauge at the core: the newest snapshot of a partition. Label: partition."""
SNAPSHOT_AGE_SECONDS = "exchange_snapshot_age_seconds"
"""Gauge at the core: how long ago the snapshots held all there was. Absent before the first one."""
SNAPSHOT_FAILURES = "exchange_snapshot_failures_total"
BUILD_INFO = "exchange_build_info"
"""Gauge, always 1. Labels: version, commit (exported as exported_version when the target sets version too)."""
SESSIONS_OPEN = "exchange_sessions_open"
"""Gauge: binary order-entry sessions open at the gateway."""

PROBE_SUCCESS = "exchange_desk_probe_success"
"""Gauge: 1 while a desk could flatten and pause: the last round went through and is not too old; else 0."""
PROBE_ROUNDS = "exchange_desk_probe_rounds_total"
PROBE_FAILURES = "exchange_desk_probe_failures_total"
"""Label: step, one of PROBE_STEPS: the one at which the round ended."""
PROBE_SECONDS = "exchange_desk_probe_seconds"
"""Histogram: a whole round, failed ones too."""
PROBE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0)
PROBE_STEPS = ("enter", "cancel", "flatten")

TEST_SYMBOL = "ZTEST"
"""An instrument that is nobody's business: `opsctl up` lists it in every new venue, and the probe's orders rest in no other book."""

LABEL_ENV = "env"
LABEL_EXCHANGE = "exchange"
LABEL_GATEWAY = "gateway"
LABEL_VERSION = "version"
LABEL_TRACK = "track"
LABEL_PARTITION = "partition"
"""Set by the core itself."""

PATH_ORDERS = "/api/v1/orders"
PATH_ORDERBOOK = "/api/v1/orderbook"
PATH_METRICS = "/metrics"
PATH_HEALTH = "/healthz"
PATH_READY = "/readyz"
OPERATIONS_ROUTE = "operations"
"""/metrics, /healthz, /readyz: asked by machines on the gateway's own port, never through the splitter."""
ROUTES = ("orders_post", "orders_delete", "orders_patch", "orderbook_get", "other", OPERATIONS_ROUTE)

HEADER_GATEWAY = "X-Gateway"
"""Every answer names the gateway that gave it; with HEADER_VERSION it shows which track served a client."""
HEADER_VERSION = "X-Version"

STATE_ENV = "OPSCTL_STATE"
"""The state folder of a venue that `opsctl up` started."""
