"""The report for code hosts and for people's channels: whole, valid, and harmless whatever a service said."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from console import markdown, output, sarif
from console.commands.scan import How
from fixes import catalogue
from fixes.model import Evidence, Finding, Open, SignatureId
from probes.base import DeploymentId
from tests.console._fastops import Fastops
from tests.screens.reports import BLOCKED, CHECKOUT, DOCKER, KILLED, OOM, report, state

HOSTILE = (
    "a | b `c` <script>x</script> ![i](http://x/i.png) [l](http://x) **b** _i_ ~~s~~ @everyone &lt; "
    "\x1b[31m\n# head \u202e {0} $x$"
)
SEVERITY = {"info": "note", "warning": "warning", "error": "error", "critical": "error"}


def hostile(said: str = HOSTILE) -> Finding:
    return replace(OOM, title=said, evidence=(Evidence(source="log", text=said, file="/app/a b.py", line=4),))


def log(*findings: Finding, unread: tuple[str, ...] = ()) -> Any:
    seen = report(findings=findings) if findings else report()
    return json.loads(sarif.encode(seen, catalogue.signatures(), unread))


def test_sarif_has_all_that_the_standard_requires() -> None:
    told = log()
    assert told["version"] == "2.1.0"
    assert told["$schema"].endswith("sarif-2.1.0.json")
    (run,) = told["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "fastops"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", driver["semanticVersion"])
    identities = [rule["id"] for rule in driver["rules"]]
    assert identities == list(catalogue.signatures())
    assert len(set(identities)) == len(identities)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}")
        assert rule["defaultConfiguration"]["level"] in {"note", "warning", "error"}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", invocation["endTimeUtc"])


def test_each_finding_is_a_result_with_its_rule_level_place_and_fingerprint() -> None:
    seen = report()
    (run,) = log()["runs"]
    wanted = {finding.id: finding for found in seen.findings.values() for finding in found}
    results = {result["partialFingerprints"][sarif.FINGERPRINT]: result for result in run["results"]}
    assert results.keys() == wanted.keys()
    for identity, result in results.items():
        finding = wanted[identity]
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.signature
        assert result["level"] == SEVERITY[finding.severity]
        assert result["message"]["text"].startswith(finding.title)
        assert all(evidence.text in result["message"]["text"] for evidence in finding.evidence)
        assert result["occurrenceCount"] >= 1
        (location,) = result["locations"]
        (logical,) = location["logicalLocations"]
        assert logical["fullyQualifiedName"] == finding.deployment
        assert [e["text"] for e in result["properties"]["evidence"]] == [e.text for e in finding.evidence]
    cause = results[KILLED.id]["properties"]["explained_by"]
    assert cause == {"deployment": CHECKOUT.id, "signature": "oom-killed"}
    place = results[BLOCKED.id]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "file:///app/shop/routes.py"}, "region": {"startLine": 41}}


def test_what_was_not_read_is_a_notification_of_sarif() -> None:
    (run,) = log(unread=("docker: there is no socket",))["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification == {"level": "error", "message": {"text": "docker: there is no socket"}}


def test_foreign_words_are_neither_placeholders_nor_links_in_sarif() -> None:
    (result,) = log(hostile())["runs"][0]["results"]
    said = result["message"]["text"]
    assert "](" not in said
    assert "{{0}}" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///app/a%20b.py"


def test_markdown_tells_deployments_findings_evidence_and_what_to_do() -> None:
    told = markdown.render(report(), ("local: not everything was read",))
    assert told.startswith("# fastops: 2 critical, 2 error, 2 warning, 1 info\n")
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows}) == 1
    assert sum("docker/checkout" in line for line in rows) == 1
    assert rows[1].startswith("| critical | docker/")
    assert "## critical: oom-killed on docker/checkout" in told
    assert "- explained by oom-killed of docker/checkout" in told
    assert re.search(r"- cgroup [\d-]+ [\d:]+ UTC: oom_kill rose from 2 to 3", told)
    assert "`fastops fix docker/checkout oom-killed`" in told
    assert told.endswith("## Not read\n\n- local: not everything was read")


def test_the_command_that_fixes_a_finding_asks_what_the_scan_asked(capsys: pytest.CaptureFixture[str]) -> None:
    how = How("0s", False, None, False, True, databases=("own", "env:WATCHER"), sources=("/src/my `shop`",))
    told = "fastops fix docker/checkout oom-killed --database own --database env:WATCHER --source '/src/my `shop`'"
    seen = report()
    output.print_report(seen, how.passed_after(seen))
    assert f"→ {told}    (" in capsys.readouterr().out
    assert f"``{told}``" in markdown.render(seen, (), how.passed_after(seen))
    output.print_report(seen, How("0s", False, None, False, True).passed_after(seen))
    assert "→ fastops fix docker/checkout oom-killed    (" in capsys.readouterr().out


def test_the_command_that_fixes_what_only_time_showed_or_telemetry_told_asks_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    how = How("60s", False, None, False, True, telemetry="127.0.0.1:4318")
    seen = report()
    early = {one: tuple(f for f in found if f.signature != "oom-killed") for one, found in seen.findings.items()}
    output.print_report(seen, how.passed_after(replace(seen, findings=early)))
    told = capsys.readouterr().out
    assert "fastops fix docker/checkout oom-killed --telemetry 127.0.0.1:4318 --observe 60s    (" in told
    others = [line for line in told.splitlines() if "→ fastops fix" in line and "oom-killed" not in line]
    assert others
    assert all("--telemetry 127.0.0.1:4318    (" in line for line in others)


def test_the_table_says_in_a_line_what_is_undecided_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_report(replace(report(), undecided={}))
    assert "undecided" not in capsys.readouterr().out
    opens = [
        ("memory-leak", "1 min"),
        ("worker-timeout", "its logs"),
        ("oom-killed", "its logs"),
        ("a", "b"),
        ("c", "d"),
    ]
    undecided = tuple(Open(SignatureId(signature), needs) for signature, needs in opens)
    output.print_report(replace(report(), undecided={CHECKOUT.id: undecided}))
    assert (
        "? docker/checkout  undecided: memory-leak (needs 1 min); worker-timeout, oom-killed (needs its logs); "
        "a (needs b); and 1 more, --format json has all\n"
    ) in capsys.readouterr().out


def test_what_is_undecided_of_many_alike_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    alike = [replace(CHECKOUT, id=DeploymentId(f"docker/one-{number}")) for number in range(5)]
    other = replace(CHECKOUT, id=DeploymentId("docker/other"))
    leak = Open(SignatureId("memory-leak"), "1 min")
    undecided = {one.id: (leak,) for one in alike} | {other.id: (Open(SignatureId("oom-killed"), "its logs"),)}
    output.print_report(replace(report(state(DOCKER, (*alike, other))), undecided=undecided))
    told = [line for line in capsys.readouterr().out.splitlines() if "undecided" in line]
    assert told == [
        "? 5 deployments  undecided: memory-leak (needs 1 min); this of docker/one-0",
        "? docker/other  undecided: oom-killed (needs its logs)",
    ]


def test_markdown_of_nothing_says_so() -> None:
    told = markdown.render(report(state(DOCKER, ())), ())
    assert told.startswith("# fastops: nothing found\n")
    assert "|" not in told


def test_foreign_words_stay_words_in_markdown() -> None:
    told = markdown.render(
        report(state(DOCKER, (replace(CHECKOUT, server_version=HOSTILE),)), findings=(hostile(),)), ()
    )
    for raw in (
        "<script",
        "\n# head",
        "\x1b",
        "\u202e",
        "@everyone",
        " | b",
        " `c`",
        "**b**",
        " _i_",
        "~~s",
        " ![i",
    ):
        assert raw not in told, raw
    assert not re.search(r"(?<!\\)\]\(", told)
    for kept in (r"a \| b \`c\` &lt;script&gt;", "＠everyone", r"\*\*b\*\*", r"\_i\_", "&amp;lt;", r"\$x\$"):
        assert kept in told, kept
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1


@given(st.text(max_size=300))
def test_any_text_is_one_line_without_marks_of_its_own(said: str) -> None:
    escaped = markdown.escape(said)
    assert "\n" not in escaped
    assert not re.search(r"[<>@]", escaped)
    bare = re.sub(r"\\[\\`*|~$_\]!\[:.]", "", escaped)
    assert not re.search(r"[`*|~\\]|\]\(", bare)


@given(st.text(max_size=60), st.sampled_from(["https://", "HTTP://", "ftp://", "www.", "Www."]))
def test_a_bare_address_is_shown_as_it_is_and_is_no_link(around: str, begin: str) -> None:
    """As a Markdown that makes links of bare addresses reads it."""
    reader = MarkdownIt("commonmark", {"linkify": True}).enable("linkify")
    reader.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    said = f"see {begin}example.com/x?y=1 {around}"
    (line,) = [token for token in reader.parse(f"x {markdown.escape(said)}") if token.type == "inline"]
    assert not [child for child in line.children or () if child.type == "link_open"]
    assert "".join(child.content for child in line.children or ()).startswith(f"x see {begin}example.com/x?y=1")
    assert not re.search(r"(?i)(?<!\\)://|(?<=www)\.", markdown.escape(said))


@pytest.mark.parametrize("said", ["worker #3 died", "shop/api#12", "see GH-1", "gh-22"])
def test_the_number_of_an_issue_stays_a_number(said: str) -> None:
    shown = markdown.escape(said)
    assert not re.search(r"(?i)#\d|GH-\d", shown)
    assert shown.replace("＃", "#").replace("‑", "-") == said


def test_scan_prints_both_and_nothing_else(tmp_path: Any) -> None:
    offline = Fastops(tmp_path / "home", f"unix://{tmp_path}/nobody.sock")
    done = offline("scan", "docker", "--format", "sarif")
    assert done.status == 3, done.said
    (invocation,) = done.json["runs"][0]["invocations"]
    assert "there is no socket" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    done = offline("scan", "docker", "--format", "markdown")
    assert done.status == 3, done.said
    assert done.out.startswith("# fastops: nothing found\n")
    assert "## Not read" in done.out
