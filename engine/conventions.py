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
LAST_TICK_TIMESTAMP = "exchange_market_data_last_tick_timestamp_seconds"
LOG_SEQ_NUM = "exchange_log_seq_num"
"""Gauge: written, on the disk or not yet."""
LOG_DURABLE_SEQ_NUM = "exchange_log_durable_seq_num"
"""Gauge: on the disk. Only under the acknowledgement policy `device`."""
LOG_HEALTHY = "exchange_log_healthy"
"""Gauge: 1 while the log takes commands, 0 during recovery and after a write that failed."""
BUILD_INFO = "exchange_build_info"
"""Gauge, always 1. Labels: version, commit (exported as exported_version when the target sets version too)."""
SESSIONS_OPEN = "exchange_sessions_open"
"""Gauge: binary order-entry sessions open at the gateway."""

LABEL_ENV = "env"
LABEL_EXCHANGE = "exchange"
LABEL_GATEWAY = "gateway"
LABEL_VERSION = "version"
LABEL_TRACK = "track"

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
