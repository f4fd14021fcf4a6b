"""The spec that `opsctl slo init` writes: every setting with its meaning, over series that the venue of this toolkit shows."""

from __future__ import annotations


def text(exchange: str, calendar: str) -> str:
    """`calendar` is its file's path relative to the spec."""
    return _TEXT.replace("@EXCHANGE@", exchange).replace("@CALENDAR@", calendar)


_TEXT = """\
# What the venue @EXCHANGE@ promises. After each edit: opsctl slo check, then opsctl slo generate, then opsctl slo test.
version: opsctl/slo/v1
exchange: @EXCHANGE@                     # the value of the label `exchange` on its targets
calendar: @CALENDAR@      # when it trades; relative to this file. Make one: opsctl calendar import XNYS
scrape_interval: 15s                # the longest at which any series below is scraped
runbook_base: ""                    # put before the paths of run-books in alerts, such as https://git.example/venue/
tickets: {deliver_from: "08:00", deliver_until: "20:00"}   # local time; outside, tickets wait

# Dollars that a month may lose. `page_share` of it within an hour pages; `ticket_share` of it spent opens a ticket.
budget: {usd_per_month: 10000, page_share: 5%, ticket_share: 50%}

# What is promised when. 1: trading, volatility high or not known. 2: trading. 3: evenings, weekends, holidays. 4: maintenance.
# `severity` is the most that an alert may be there: page, ticket or none.
zones:
  1: {objective: 99.99%, cost_usd_per_minute: 500, severity: page}
  2: {objective: 99.95%, cost_usd_per_minute: 100, severity: page}
  3: {objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}
  4: {objective: 98%, cost_usd_per_minute: 0, severity: ticket}

# How fast a budget must burn to be told. These three are there without being written; an entry replaces that of the same name.
# `factor` is a burn rate (1 spends the budget exactly); `budget: 2%` in its place derives it from the session minutes of a month.
alerts:
  - {name: spike, severity: page, bad_share: 3%}                       # of the last slice
  - {name: fast, severity: page, long: 1h, short: 5m, factor: 14}      # over both windows
  - {name: slow, severity: ticket, long: 6h, short: 1h, factor: 3}

slos:
  - name: order-ack-latency         # small letters, digits and -; the label `slo` of everything recorded
    description: Orders are acknowledged within half a second.
    component: gateway
    owner: trading-platform
    # One of:
    #   events: {total: M, bad: M}         counters; or good: in place of bad; where, total_where, bad_where, good_where narrow them
    #   latency: {histogram: M, threshold: 500ms}     the threshold is one of its buckets
    #   freshness: {timestamp: M, threshold: 60s}     a Unix time; at least three scrape intervals
    #   probe: {metric: M}                            1 while all is well
    #   threshold: {metric: M, above: 1000}           a gauge; or below:
    #   raw: {bad_ratio: 'PromQL with [{{window}}]'}  gives 0 (all well) to 1
    sli: {latency: {histogram: exchange_order_ack_seconds, where: 'track="stable"', threshold: 500ms}}
    group_by: []                    # labels whose values are judged apart, such as [gateway]
    no_data: bad                    # what missing series are worth: bad, good or ignore
    idle: good                      # what a slice with fewer than `minimum_events` is worth
    minimum_events: 10
    objectives: {1: 99%, 2: 99%}    # in place of the zone's; the others are inherited
    offender: gateway               # the label whose worst value an alert names
    first_action: Look which gateway is slow with opsctl status, and roll back if a release is under way.
    runbook: runbooks/order-ack-latency.md

  - name: gateway-errors
    description: Requests through the gateways are answered without a server error.
    component: gateway
    owner: trading-platform
    sli:
      events:
        total: exchange_http_requests_total
        bad: exchange_http_requests_total
        where: 'route!="operations",track="stable"'
        bad_where: 'code=~"5.."'
    no_data: bad
    minimum_events: 10
    offender: gateway
    first_action: Take the gateway with the most errors out of the splitter.
    runbook: runbooks/gateway-errors.md

  - name: core-link
    description: Every gateway is connected to the matching core.
    component: core
    owner: trading-platform
    sli: {probe: {metric: exchange_core_link_up, where: 'track="stable"'}}
    no_data: bad
    offender: gateway
    first_action: See whether the core runs with opsctl status.
    runbook: runbooks/core-link-down.md
"""
