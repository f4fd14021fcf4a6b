"""What a generated alert says: Prometheus templates that end in words and figures for a person, not in series.

A template cannot compute, so figures come from queries, each of which says `unknown` when it finds nothing. What differs between SLOs
(first action, runbook, who is the worst) is looked up by the label `slo` in a table inside the template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ops import conventions as c
from ops.session import Zone
from ops.slo import promql, sli
from ops.slo.model import Slo, Spec, Tier

UNKNOWN = "unknown"
OFFENDER_S = 300
PERCENT = "humanizePercentage | reReplaceAll `(?:(\\.\\d)\\d*)?%$` `$1 %`"
"""0.8714 -> '87.1 %'."""
USD = 'printf "%.0f" | reReplaceAll `^(-?\\d+)(\\d{3})(\\d{3})$` `$1,$2,$3` | reReplaceAll `^(-?\\d+)(\\d{3})$` `$1,$2`'
"""1500.4 -> '1,500'."""
TIMES = 'printf "%.1fx"'
"""12.345 -> '12.3x'."""
ZONES = {Zone.VOLATILE: "in session, volatile", Zone.REGULAR: "in session", Zone.EXTENDED: "outside the session"}
WHERE_ZONE = (
    "Zone {{ $labels.zone }}, "
    + "".join(f'{{{{ if eq $labels.zone "{zone:d}" }}}}{words}{{{{ else }}}}' for zone, words in ZONES.items())
    + "maintenance"
    + "{{ end }}" * len(ZONES)
    + "."
)


def subject(slos: Iterable[Slo]) -> str:
    """'order-entry of XDEMO, gateway gateway-1': groups that an SLO does not have are left out."""
    groups = "".join(f"{{{{ with $labels.{label} }}}}, {label} {{{{ . }}}}{{{{ end }}}}" for label in groups_of(slos))
    return f"{{{{ $labels.slo }}}} of {{{{ $labels.exchange }}}}{groups}"


def groups_of(slos: Iterable[Slo]) -> tuple[str, ...]:
    """Every label that some SLO groups by, once."""
    return tuple(sorted({label for slo in slos for label in slo.group_by}))


def first_action(slos: Sequence[Slo]) -> str:
    return chosen(slos, lambda slo: slo.first_action or f"opsctl slo explain {slo.name}, then open the runbook.")


def runbook(spec: Spec, slos: Sequence[Slo]) -> str:
    """Written without a table where every SLO has the runbook of its name."""
    if all(slo.runbook in ("", own_runbook(slo.name)) for slo in slos):
        return spec.runbook_base + own_runbook("{{ $labels.slo }}")

    def where(slo: Slo) -> str:
        return slo.runbook if "://" in slo.runbook else spec.runbook_base + (slo.runbook or own_runbook(slo.name))

    return chosen(slos, where)


def own_runbook(name: str) -> str:
    """Where a runbook is expected that nobody named."""
    return f"runbooks/{name}.md"


def worst(spec: Spec, slos: Sequence[Slo]) -> str:
    """'gateway gateway-3': who did worst in the last minutes, by the SLO's label `offender`; nothing for SLOs without one."""
    queries = {slo.name: _offender_query(spec, slo) for slo in slos}
    if not any(queries.values()):
        return ""
    shown = "{{ range $name, $value := (first .).Labels }}{{ $name }} {{ $value }}{{ end }}"
    found = _looked_up(queries)
    for label in groups_of(slos):
        if any(_slot(label) in query for query in queries.values()):
            found = f'reReplaceAll "{_slot(label)}" (printf "%q" $labels.{label}) ({found})'
    return f"{{{{ with {found} }}}}{{{{ with query . }}}}{shown}{{{{ else }}}}{UNKNOWN}{{{{ end }}}}{{{{ end }}}}"


def _offender_query(spec: Spec, slo: Slo) -> str:
    """Within the alert's own group: another's worst part is none of its business. Nothing where the group is the part itself."""
    if not slo.offender or slo.offender in slo.group_by:
        return ""
    own = ",".join(f"{label}={_slot(label)}" for label in slo.group_by)
    bad = sli.bad_events(slo, spec.exchange, slo.offender, max(OFFENDER_S, slo.slice_s), own)
    return f"topk(1, {bad})" if bad else ""


def _slot(label: str) -> str:
    """What stands in a query until the alert's own label is put in its place."""
    return f"@{label}@"


def chosen(slos: Sequence[Slo], text_of: Callable[[Slo], str]) -> str:
    """The text of the SLO that the alert is about; said once when all have the same."""
    texts = {slo.name: text_of(slo).replace("`", "'") for slo in slos}  # a table stands between backticks
    if len(set(texts.values())) == 1:
        return next(iter(texts.values())).replace("{{", '{{ "{{" }}')
    return f"{{{{ {_looked_up(texts)} }}}}"


def _looked_up(texts: Mapping[str, str]) -> str:
    """A table within a template, one line an SLO: shorter, quicker and easier to review than a chain of `else if`."""
    table = "".join(f"\n{name}: {text}".rstrip() for name, text in texts.items()) + "\n"
    table = table.replace("`", "\\x60")  # only a query can have one, within a string
    return f"reReplaceAll (printf `(?s)^.*\\n%s: ?([^\\n]*)\\n.*$` $labels.slo) `$1` `{table}`"


def figure(query: str, arguments: str, shape: str, before: str = "") -> str:
    """The first value of a query, as a person reads it. `arguments` replace the %q and %f of `query`, in this order."""
    asked = f"printf `{query}` {arguments}" if arguments else f"`{query}`"
    return f"{{{{ with {asked} | query }}}}{before}{{{{ . | first | value | {shape} }}}}{{{{ else }}}}{UNKNOWN}{{{{ end }}}}"


def burn_description(spec: Spec, slos: Sequence[Slo], tier: Tier) -> str:
    """Each query is made for each alert that fires, at every evaluation: four of them, and no more."""
    own, arguments = _own(spec, slos)
    per_bad = f"on (exchange, policy) group_left () {_of_zone(spec, c.SERIES_BURN_PER_BAD)}"
    cost = f"on (exchange, policy) group_left () {_of_zone(spec, c.SERIES_COST)}"
    rate = f"60 * max({c.SERIES_BURN_RATE}:{promql.name_of(tier.short_s)}{own} / {per_bad} * {cost})"
    return " ".join(
        (
            WHERE_ZONE,
            f"Burn rate {{{{ $value | {TIMES} }}}} over {promql.name_of(tier.long_s)}.",
            _hourly(figure(rate, f"{arguments} $labels.zone $labels.zone", USD, "$")),
            _spent(spec, own, arguments),
        )
    )


def spike_description(spec: Spec, slos: Sequence[Slo]) -> str:
    own, arguments = _own(spec, slos)
    cost = promql.selector(c.SERIES_COST, "policy=%q,zone=%q", exchange=spec.exchange)
    rate = f"%f * 60 * max({cost})"
    burn = f"%f * max({promql.selector(c.SERIES_BURN_PER_BAD, 'policy=%q,zone=%q', exchange=spec.exchange)})"
    of_zone = "$value $labels.policy $labels.zone"
    return " ".join(
        (
            WHERE_ZONE,
            f"Burn rate of the last slice: {figure(burn, of_zone, TIMES)}.",
            _hourly(figure(rate, of_zone, USD, "$")),
            _spent(spec, own, arguments),
        )
    )


def _hourly(amount: str) -> str:
    return f"At this rate it costs {amount} an hour."


def _own(spec: Spec, slos: Sequence[Slo]) -> tuple[str, str]:
    """The selector of the alert's own series, with its arguments. A group that an SLO does not have is '', which no series has either."""
    labels = (c.LABEL_SLO, *groups_of(slos))
    where = promql.selector("", ",".join(f"{label}=%q" for label in labels), exchange=spec.exchange)
    return where, " ".join(f"$labels.{label}" for label in labels)


def _of_zone(spec: Spec, series: str) -> str:
    return promql.selector(series, "zone=%q", exchange=spec.exchange)


def _spent(spec: Spec, own: str, arguments: str) -> str:
    budget = promql.decimal(spec.money.budget_usd_per_month)
    dollars = figure(f"sum({c.SERIES_LOSS_MONTH}{own})", arguments, USD, "$")
    share = figure(f"sum({c.SERIES_LOSS_MONTH}{own}) / {budget}", arguments, PERCENT)
    return f"This month: {dollars}, {share} of the venue's {usd(spec)}."


def usd(spec: Spec) -> str:
    """The venue's budget, as a person writes it."""
    return f"${int(spec.money.budget_usd_per_month):,}"
