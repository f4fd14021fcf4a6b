"""OpenSLO files become specs that load; what cannot be said is listed with its place; what both can say survives the way there and back."""

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import UsageError
from ops.session import Zone
from ops.slo import parse
from ops.slo.model import Events, Freshness, Latency, NoData, Probe, Raw, Selector, Severity, Spec, Threshold
from ops.slo.openslo import from_openslo, to_openslo
from ops.slo.promql import quote

HERE = Path(__file__).parent / "openslo"
ROOT = Path(__file__).resolve().parents[2]
HEAD = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec:\n"
GOOD = (
    HEAD
    + """\
  service: web
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'errors_total{exchange="XDEMO"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'requests_total{exchange="XDEMO"}'}}}
  budgetingMethod: RatioTimeslices
  objectives: [{target: 0.99, timeSliceWindow: 1m}]
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the calendar that an imported spec names."""
    (tmp_path / "calendars").mkdir()
    shutil.copy(ROOT / "slo/calendars/xnys.yaml", tmp_path / "calendars")
    return tmp_path


def imported(folder: Path, source: Path) -> tuple[Spec, tuple[str, ...]]:
    text, notes = from_openslo(source)
    target = folder / "spec.yaml"
    target.write_text(text, encoding="utf-8")
    return parse.load(target), notes


def wrong(folder: Path, text: str) -> str:
    path = folder / "in.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        from_openslo(path)
    return str(error.value)


def test_a_file_of_references_becomes_a_spec_that_loads(folder: Path) -> None:
    spec, _ = imported(folder, HERE / "venue.yaml")
    latency, errors = spec.slos
    assert spec.exchange == "XDEMO"
    assert latency.sli == Latency(Selector("exchange_order_ack_seconds", 'track="stable"'), Fraction(1, 2))
    assert (latency.owner, latency.component, latency.slice_s) == ("trading-platform", "order-entry", 120)
    assert {terms.objective for terms in latency.policy.terms.values()} == {Fraction(995, 1000)}
    assert latency.no_data is NoData.BAD
    assert errors.name == "errors"
    assert errors.sli == Events(Selector("http_requests_total"), bad=Selector("http_requests_total", 'code=~"5.."'))


def test_alert_conditions_on_which_all_slos_agree_become_our_speeds(folder: Path) -> None:
    spec, _ = imported(folder, HERE / "venue.yaml")
    fast = next(tier for tier in spec.tiers if tier.name == "fast")
    assert (fast.severity, fast.long_s, fast.short_s, fast.factor) == (Severity.PAGE, 7200, 600, 10)
    assert [tier.name for tier in spec.tiers] == ["spike", "fast", "slow"]


def test_what_is_changed_on_the_way_is_listed_with_file_line_and_field() -> None:
    _, notes = from_openslo(HERE / "venue.yaml")
    name = HERE / "venue.yaml"
    assert any(note.startswith(f"{name}:81: spec.timeWindow[0].duration: a rolling window of 28d cannot be said") for note in notes)
    assert any(note.startswith(f"{name}:83: spec.objectives[0]: Occurrences weighs each event alike") for note in notes)
    assert any("the name 'Errors' is written as errors" in note for note in notes)
    assert any(note.startswith(f"{name}:7: spec.connectionDetails: are not read") for note in notes)
    assert len(notes) == len(set(notes))


def test_gauges_ages_and_stored_ratios_find_their_kind(folder: Path) -> None:
    spec, notes = imported(folder, HERE / "gauges.yaml")
    sli = {slo.name: slo.sli for slo in spec.slos}
    assert sli["queue"] == Threshold(Selector("exchange_queue_depth", 'job="core"'), above=Fraction(1000))
    assert sli["feed-age"] == Freshness(Selector("last_tick_timestamp_seconds"), Fraction(60))
    assert sli["reachable"] == Probe(Selector("up", 'job="gateway"'))
    assert sli["stored-errors"] == Raw("avg (avg_over_time(job:errors:ratio{}[{{window}}]))")
    assert sli["p99"] == Raw("max((histogram_quantile(0.99, sum by (le) (rate(x_bucket[{{window}}])))) >= bool 0.5)")
    assert any('name no venue; generated rules add exchange="XDEMO"' in note for note in notes)


def test_a_slice_judged_by_a_share_of_good_events_is_said_in_promql(folder: Path) -> None:
    """Timeslices: a minute with under 95 % good is bad as a whole. An idle one is good; without series there is no value."""
    spec, _ = imported(folder, HERE / "gauges.yaml")
    sli = next(slo.sli for slo in spec.slos if slo.name == "good-minutes")
    assert isinstance(sli, Raw)
    total = "sum (increase(requests_total{}[{{window}}]))"
    good = 'sum (increase(requests_total{code="200"}[{{window}}]))'
    assert sli.bad_ratio == f"((1 - ({good} or 0 * {total}) / ({total} > 0)) > bool 0.05) or 0 * {total}"


def test_every_expression_that_the_import_writes_is_promql(folder: Path) -> None:
    from promql_parser import parse as promql

    spec, _ = imported(folder, HERE / "gauges.yaml")
    texts = [slo.sli.bad_ratio for slo in spec.slos if isinstance(slo.sli, Raw)]
    assert len(texts) == 3
    for text in texts:
        assert promql(text.replace("{{window}}", "1m"))


def test_slos_that_cannot_be_said_are_left_out_and_named(folder: Path) -> None:
    spec, notes = imported(folder, HERE / "unsaid.yaml")
    assert [slo.name for slo in spec.slos] == ["several", "several-2"]
    left_out = [note for note in notes if note.endswith("is left out")]
    assert [note.partition("unsaid.yaml:")[2].partition(":")[0] for note in left_out] == ["12", "23", "32"]
    for reason in ("for Datadog", "a composite", "measures the scrape"):
        assert sum(reason in note for note in left_out) == 1


def test_several_objectives_become_several_slos_and_the_remark_names_them(folder: Path) -> None:
    spec, notes = imported(folder, HERE / "unsaid.yaml")
    assert [slo.policy.terms[Zone.REGULAR].objective for slo in spec.slos] == [Fraction(99, 100), Fraction(999, 1000)]
    assert [slo.group_by for slo in spec.slos] == [("gateway",), ("gateway",)]
    assert [slo.slice_s for slo in spec.slos] == [600, 60]
    assert any("so they became several, several-2" in note for note in notes)


@pytest.mark.parametrize("reason", ["colour: is no field", "1Q cannot be said", "not Europe/London", "1h cannot be said"])
def test_a_remark_tells_of(reason: str) -> None:
    _, notes = from_openslo(HERE / "unsaid.yaml")
    assert sum(reason in note for note in notes) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("openslo/v1", "openslo/v1alpha", ":1: apiVersion: 'openslo/v1alpha' is not read, only openslo/v1"),
        ("kind: SLO", "kind: Slo", ":2: kind: 'Slo' is not one of SLO, SLI"),
        ("metadata: {name: a}", "metadata: {}", ":3: metadata.name: is missing"),
        ("target: 0.99", "target: 99", ":13: spec.objectives[0].target: 99 is outside 0 to 1"),
        ("target: 0.99", "target: many", ":13: spec.objectives[0].target: 'many' is not a number"),
        ("target: 0.99, ", "", ":13: spec.objectives[0].target: exactly one of target and targetPercent"),
        ("RatioTimeslices", "Sometimes", ":12: spec.budgetingMethod: 'Sometimes' is not one of"),
        ("[{target: 0.99, timeSliceWindow: 1m}]", "[]", ":13: spec.objectives: expected at least one"),
        ("timeSliceWindow: 1m", "timeSliceWindow: soon", "timeSliceWindow: 'soon' is not a duration"),
        ("errors_total{", "errors_total{{", ":10: spec.indicator.spec.ratioMetric.bad.metricSource.spec.query: is not PromQL"),
        ("query: 'errors", "sql: 'errors", ":10: spec.indicator.spec.ratioMetric.bad.metricSource.spec.query: is missing"),
        ("errors_total", "requests_total", "query: reads the same series as total"),
        ("        bad:", "        best:", "total: a ratio needs total and one of good and bad"),
        ("counter: true", "counter: perhaps", "counter: 'perhaps' is neither true nor false"),
        ("  indicator:\n", "  indicatorRef: b\n  indicator:\n", "indicator: exactly one of indicator and indicatorRef"),
        ("metadata: {name: a}", "metadata: {name: a", "not YAML"),
    ],
)
def test_a_file_that_breaks_openslo_is_refused_with_its_place(folder: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert said in wrong(folder, GOOD.replace(old, new, 1))


@pytest.mark.parametrize("query", ["1", "time()", "errors_total[5m]", "'text'"])
def test_a_query_that_gives_no_series_is_refused(folder: Path, query: str) -> None:
    text = GOOD.replace("""'errors_total{exchange="XDEMO"}'""", f'"{query}"')
    assert ":10: spec.indicator.spec.ratioMetric.bad.metricSource.spec.query: gives nothing to judge a slice by" in wrong(folder, text)


def test_a_reference_to_nothing_names_what_is_near(folder: Path) -> None:
    text = HEAD + "  service: w\n  indicatorRef: laten\n  budgetingMethod: Occurrences\n  objectives: [{target: 0.9}]\n"
    other = "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {name: latency}\nspec: {}\n"
    assert ":6: spec.indicatorRef: no SLI of the name 'laten' is in this file; did you mean latency?" in wrong(folder, text + other)


def test_a_file_of_which_nothing_can_be_said_is_an_error_and_tells_why(folder: Path) -> None:
    said = wrong(folder, GOOD.replace("type: Prometheus", "type: BigQuery"))
    assert "none of its SLOs can be said here" in said
    assert "BigQuery; only PromQL can become rules" in said


def test_an_empty_file_and_a_missing_one_are_errors(folder: Path) -> None:
    assert "holds no OpenSLO object" in wrong(folder, "---\n---\n")
    with pytest.raises(UsageError, match="cannot be read"):
        from_openslo(folder / "nowhere.yaml")


def test_two_objects_of_one_name_are_refused(folder: Path) -> None:
    assert "a second SLO of the name 'a'" in wrong(folder, f"{GOOD}---\n{GOOD}")


def test_slos_of_another_venue_are_left_out(folder: Path) -> None:
    other = GOOD.replace("name: a", "name: b").replace("XDEMO", "XOTHER")
    (folder / "in.yaml").write_text(f"{GOOD}---\n{other}", encoding="utf-8")
    spec, notes = imported(folder, folder / "in.yaml")
    assert [slo.name for slo in spec.slos] == ["a"]
    assert any("SLO 'b' is of XOTHER" in note for note in notes)


def test_a_query_too_deep_for_its_parser_is_refused_not_run(folder: Path) -> None:
    """The native parser would end the process."""
    deep = "(" * 20000 + "x" + ")" * 20000
    assert "has 40001 characters; at most 4000 are read" in wrong(folder, GOOD.replace("""'errors_total{exchange="XDEMO"}'""", deep))


def test_a_document_nested_too_deeply_is_refused(folder: Path) -> None:
    assert "nested too deeply" in wrong(folder, "[" * 20_000)


# There and back

VENUE = """\
version: opsctl/slo/v1
exchange: XDEMO
calendar: calendars/xnys.yaml
budget: {usd_per_month: 10000}
zones:
  1: {objective: 99.99%, cost_usd_per_minute: 500, severity: page}
  2: {objective: 99.95%, cost_usd_per_minute: 100, severity: page}
  3: {objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}
  4: {objective: 98%, cost_usd_per_minute: 0, severity: ticket}
slos:
"""
SLO = """\
  - name: {name}
    description: "What is promised"
    component: gateway
    owner: trading-platform
    sli: {sli}
    no_data: {no_data}
    first_action: opsctl status, then the log of the gateway named.
    runbook: runbooks/order-ack-latency.md
"""
KINDS = {
    "latency": "{latency: {histogram: ack_seconds, threshold: 500ms, where: 'track=\"stable\"'}}",
    "bad": "{events: {total: a_total, bad: b_total, bad_where: 'code=~\"5\\\\d\\\\d\"'}}",
    "good": "{events: {total: a_total, good: a_total, good_where: 'code!=\"500\"'}}",
    "freshness": "{freshness: {timestamp: tick_seconds, threshold: 60s}}",
    "probe": "{probe: {metric: up, where: 'job=\"core\"'}}",
    "above": "{threshold: {metric: zombies, above: 0.5}}",
    "below": "{threshold: {metric: free, below: 10}}",
    "raw": "{raw: {bad_ratio: 'clamp_max(sum(rate(x[{{window}}])), 1)'}}",
}


def there_and_back(folder: Path, text: str) -> tuple[Spec, Spec, tuple[str, ...]]:
    (folder / "ours.yaml").write_text(text, encoding="utf-8")
    ours = parse.load(folder / "ours.yaml")
    documents, losses = to_openslo(ours, ours.slos[0])
    (folder / "out.yaml").write_text(documents, encoding="utf-8")
    theirs, _ = imported(folder, folder / "out.yaml")
    return ours, theirs, losses


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("no_data", list(NoData))
def test_what_both_can_say_survives_the_way_there_and_back(folder: Path, kind: str, no_data: NoData) -> None:
    ours, theirs, _ = there_and_back(folder, VENUE + SLO.format(name=kind, sli=KINDS[kind], no_data=no_data))
    (left,), (right,) = ours.slos, theirs.slos
    for name in ("name", "sli", "description", "component", "owner", "no_data", "idle", "minimum_events", "group_by", "slice_s"):
        assert getattr(left, name) == getattr(right, name), name
    assert (left.first_action, left.runbook) == (right.first_action, right.runbook)
    assert {zone: terms.objective for zone, terms in left.policy.terms.items()} == {
        zone: terms.objective for zone, terms in right.policy.terms.items()
    }
    assert theirs.tiers == ours.tiers
    assert theirs.exchange == ours.exchange


def test_a_spike_of_a_promise_of_99_percent_is_exported_as_the_rules_judge_it_and_comes_back_as_the_default(folder: Path) -> None:
    """3 % of a minute is a burn rate of 3 there, an ordinary minute; generated rules take the fast burn's 14."""
    text = VENUE + SLO.format(name="b", sli=KINDS["bad"], no_data="bad") + "    objectives: {1: 99%, 2: 99%, 3: 99%}\n"
    ours, theirs, _ = there_and_back(folder, text)
    documents, _ = to_openslo(ours, ours.slos[0])
    policies = [each for each in yaml.safe_load_all(documents) if each["kind"] == "AlertPolicy"]
    thresholds = {each["metadata"]["name"]: each["spec"]["conditions"][0]["spec"]["condition"]["threshold"] for each in policies}
    assert thresholds == {"b-spike": 14, "b-fast": 14, "b-slow": 3}
    assert theirs.tiers == ours.tiers


def test_settings_of_counted_events_survive_in_annotations(folder: Path) -> None:
    more = "    idle: ignore\n    minimum_events: 10\n    slice: 2m\n    cost_share: 50%\n    offender: gateway\n    group_by: [gateway]\n"
    ours, theirs, _ = there_and_back(folder, VENUE + SLO.format(name="b", sli=KINDS["bad"], no_data="good") + more)
    (left,), (right,) = ours.slos, theirs.slos
    for name in ("idle", "minimum_events", "slice_s", "offender", "group_by"):
        assert getattr(left, name) == getattr(right, name), name
    assert right.policy.cost_share == Fraction(1, 2)


def test_the_export_is_openslo_of_the_calendar_month_with_the_objective_of_regular_hours(folder: Path) -> None:
    (folder / "ours.yaml").write_text(VENUE + SLO.format(name="a", sli=KINDS["latency"], no_data="bad"), encoding="utf-8")
    spec = parse.load(folder / "ours.yaml")
    text, losses = to_openslo(spec, spec.slos[0])
    documents = list(yaml.safe_load_all(text))
    assert {each["apiVersion"] for each in documents} == {"openslo/v1"}
    slo = next(each["spec"] for each in documents if each["kind"] == "SLO")
    assert slo["objectives"] == [{"target": 0.9995, "timeSliceWindow": "1m"}]
    assert slo["timeWindow"][0]["calendar"]["timeZone"] == "America/New_York"
    assert slo["budgetingMethod"] == "RatioTimeslices"
    good = slo["indicator"]["spec"]["ratioMetric"]["good"]["metricSource"]["spec"]["query"]
    assert good == 'sum (increase(ack_seconds_bucket{exchange="XDEMO",track="stable",le="0.5"}[1m]))'
    for word in ("zones:", "no money", "short window of 5m", "1: 99.99%, 3: 99.9%, 4: 98%"):
        assert any(word in loss for loss in losses), word
    assert all(loss.startswith(f"{folder / 'ours.yaml'}:11: a: ") for loss in losses)


def test_a_target_that_another_tool_changed_wins_over_our_annotation(folder: Path) -> None:
    (folder / "ours.yaml").write_text(VENUE + SLO.format(name="a", sli=KINDS["bad"], no_data="bad"), encoding="utf-8")
    ours = parse.load(folder / "ours.yaml")
    text, _ = to_openslo(ours, ours.slos[0])
    (folder / "out.yaml").write_text(text.replace("target: 0.9995", "target: 0.99"), encoding="utf-8")
    theirs, notes = imported(folder, folder / "out.yaml")
    assert {terms.objective for terms in theirs.slos[0].policy.terms.values()} == {Fraction(99, 100)}
    assert any("the target is taken in every zone" in note for note in notes)


# Any text at all

QUERIES = [
    "x{}",
    "sum by (slo) (rate(y[5m]))",
    "time() - y",
    "y offset 5m",
    '{__name__=~"a.*"}',
    'x{exchange=~"A|B"}',
    'x{exchange="1"}',
    "1",
]
WORDS = [
    "",
    None,
    True,
    0,
    -1,
    0.5,
    99.99,
    1e-9,
    1e30,
    "5m",
    "1M",
    "Z" * 80,
    "venue",
    "{{x}}",
    "- a",
    [],
    {},
    ["a"],
    "page",
    "lte",
    "Timeslices",
]
NAMES = ["name", "target", "indicatorRef", "raw", "good", "bad", "timeWindow", "compositeWeight", "colour"]


def leaf(data: st.DataObject, node: Any) -> tuple[Any, Any]:
    """Some place in a document: its container and its key there."""
    key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
    below = node[key]
    return leaf(data, below) if isinstance(below, dict | list) and below and data.draw(st.integers(0, 9)) else (node, key)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_a_file_gives_a_spec_that_loads_or_a_usage_error(folder: Path, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([GOOD, *(each.read_text(encoding="utf-8") for each in sorted(HERE.glob("*.yaml")))]))
    objects = [each for one in yaml.safe_load_all(source) for each in (one if isinstance(one, list) else [one])]
    for _ in range(data.draw(st.integers(1, 3))):
        whole = data.draw(st.sampled_from(objects))
        node, key = leaf(data, whole["spec"] or whole)
        if data.draw(st.booleans()) or not isinstance(node, dict):
            node[key] = data.draw(st.sampled_from([*QUERIES, *WORDS]))
        else:
            node[data.draw(st.sampled_from(NAMES))] = node.pop(key)
    path = folder / "in.yaml"
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    try:
        spec, notes = imported(folder, path)
    except UsageError as error:
        assert str(path) in str(error)
        return
    assert spec.slos
    assert all(str(path) in note for note in notes)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_text_is_no_more_than_a_usage_error(folder: Path, text: str) -> None:
    path = folder / "in.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        from_openslo(path)


value = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=8)
label = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name not in ("le", "exchange", "__name__"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(label, value, max_size=3), st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=10**6))
def test_any_matcher_value_and_objective_survive(folder: Path, matchers: dict[str, str], objective: Fraction) -> None:
    shown = "".join(f",{name}={quote(value)}" for name, value in matchers.items())
    query = f'errors_total{{exchange="XDEMO"{shown}}}'
    target = Fraction(round(objective * 10**6), 10**6)
    text = GOOD.replace("""'errors_total{exchange="XDEMO"}'""", "'" + query.replace("'", "''") + "'")
    text = text.replace("0.99,", f"{float(target):.6f},")
    (folder / "in.yaml").write_text(text, encoding="utf-8")
    spec, _ = imported(folder, folder / "in.yaml")
    assert spec.slos[0].policy.terms[Zone.REGULAR].objective == target
