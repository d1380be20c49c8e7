"""Only what is new: what was known is left out, what is worse is told, and a twin does not hide behind its namesake."""

import json
from dataclasses import replace

import pytest

from cli_program import MODULE_POD, RESTRICTED_POD, SOCKET_POD, holdfast, scanned
from holdfast.app import baseline
from holdfast.app.verdicts import exit_code
from holdfast.model.errors import ExitCode, Usage
from holdfast.model.place import Where
from holdfast.model.report import Report, Verdict
from holdfast.model.truth import YES
from holdfast.reports import holdfast_json
from reports_made import cache, database, live, shop, web


@pytest.fixture
def remembered(tmp_path):
    """Return a function that makes a baseline of a report."""

    def remember(report):
        path = tmp_path / "old.json"
        path.write_bytes(holdfast_json.render(report))
        return baseline.read(str(path))

    return remember


def moved(assessment, document, line=1):
    return replace(assessment, workload=replace(assessment.workload, source=Where(document, "", line)))


def names(report):
    return [each.workload.name for each in report.assessments]


def test_nothing_of_an_unchanged_report_is_new(remembered):
    contradiction = web().contradictions
    report = Report((cache(), database(), replace(web(), contradictions=())))
    new = remembered(report).new(report)
    assert new.assessments == ()
    assert new.baseline_workloads == 3
    assert new.baseline_left_out == sum(len(each.findings) for each in report.assessments)
    assert exit_code(new, "unknown") is ExitCode.CLEAN
    assert contradiction


def test_a_contradiction_is_always_told_but_fails_nothing(remembered):
    new = remembered(shop()).new(replace(shop(), not_understood=()))
    assert names(new) == ["web"]
    assert new.assessments[0].contradictions
    assert new.assessments[0].findings == new.assessments[0].paths == ()
    assert new.assessments[0].verdict is Verdict.ESCAPABLE
    assert exit_code(new, "escapable") is ExitCode.CLEAN


def test_documents_that_are_not_understood_are_always_told(remembered):
    assert remembered(shop()).new(shop()).not_understood == shop().not_understood


def test_a_new_workload_is_told_whole(remembered):
    old = Report((cache(),))
    new = remembered(old).new(Report((cache(), live(), cache("shop/other"))))
    assert names(new) == ["proxy", "shop/other"]
    assert exit_code(new, "escapable") is ExitCode.FINDINGS


def test_moved_lines_another_file_and_another_container_id_are_not_new(remembered):
    old = Report((replace(web(), contradictions=()), live()))
    same = Report((moved(replace(web(), contradictions=()), "elsewhere.yaml", 99), moved(live(), "docker://77aa01")))
    assert names(remembered(old).new(same)) == []


def test_a_twin_in_another_file_is_new_though_its_namesake_is_known(remembered):
    plain = replace(web(), contradictions=())
    twin = moved(plain, "other/compose.yaml")
    new = remembered(Report((plain,))).new(Report((twin, plain)))
    assert [each.workload.source.document for each in new.assessments] == ["other/compose.yaml"]
    assert exit_code(new, "escapable") is ExitCode.FINDINGS
    assert names(remembered(Report((plain, twin))).new(Report((twin, plain)))) == []


def test_a_finding_that_became_certain_is_new_and_one_that_became_uncertain_is_not(remembered):
    surer = database()
    finding = replace(surer.findings[0], verdict=YES)
    path = replace(surer.paths[0], steps=(finding,), verdict=YES)
    surer = replace(surer, verdict=Verdict.ESCAPABLE, findings=(finding, *surer.findings[1:]), paths=(path,))
    new = remembered(Report((database(),))).new(Report((surer,)))
    assert [each.technique.id for each in new.assessments[0].findings] == ["core-pattern"]
    assert len(new.assessments[0].paths) == 1
    assert names(remembered(Report((surer,))).new(Report((database(),)))) == []


def test_what_only_the_host_decided_and_now_stands_open_is_new(remembered):
    finding = cache().findings[0]
    opened = replace(cache(), findings=(replace(finding, verdict=YES, bearing=web().findings[0].bearing),))
    assert names(remembered(Report((cache(),))).new(Report((opened,)))) == ["shop/cache"]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", "[1", '{"schema_version": "1.0"}', '{"schema_version": "1.0", "assessments": [{}]}',
        '{"schema_version": "1.0", "assessments": 3}', "[" * 100_000, "\x00",
        '{"schema_version": "2.0", "assessments": []}', '{"schema_version": "1.0", "assessments": [{"workload": 1}]}',
    ],
)  # fmt: skip
def test_what_is_no_report_is_a_wrong_call(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(Usage) as caught:
        baseline.read(str(path))
    assert caught.value.where == str(path)
    assert "--format json" in caught.value.next


def test_a_baseline_that_is_not_there_is_a_wrong_call(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(Usage, match="cannot be read"):
            baseline.read(str(path))


# --- through the program --------------------------------------------------------------------------------------------


def test_the_whole_way(tmp_path):
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    (tmp_path / "shut.yaml").write_text(RESTRICTED_POD)
    assert holdfast("scan", ".", "-o", "old.json", folder=tmp_path).code == 1
    again = holdfast("scan", ".", "--baseline", "old.json", folder=tmp_path)
    assert again.code == 0
    assert again.out.endswith("nothing new\n")
    assert "2 containers are left out" in again.out
    (tmp_path / "open.yaml").write_text("# a comment\n\n" + SOCKET_POD)
    (tmp_path / "modules.yaml").write_text(MODULE_POD)
    more = scanned(".", "--baseline", "old.json", folder=tmp_path)
    assert more.verdicts == {"modules/app": "unknown"}
    assert more.code == 3
    assert scanned(".", "--baseline", "old.json", "--fail-on", "unknown", folder=tmp_path).code == 1
    assert more.report["summary"]["baseline_workloads"] == 2


def test_a_hole_that_was_closed_vanishes_and_one_that_comes_back_counts_against_a_newer_baseline(tmp_path):
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    holdfast("scan", ".", "-o", "old.json", folder=tmp_path)
    closed = SOCKET_POD.replace("/var/run/docker.sock}", "/srv/data}")
    (tmp_path / "open.yaml").write_text(closed)
    after = holdfast("scan", ".", "--baseline", "old.json", "-o", "newer.json", folder=tmp_path)
    assert after.code == 0
    holdfast("scan", ".", "-o", "newer.json", folder=tmp_path)
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    assert scanned(".", "--baseline", "newer.json", folder=tmp_path).verdicts == {"open/app": "escapable"}
    assert holdfast("scan", ".", "--baseline", "old.json", folder=tmp_path).code == 0


def test_a_baseline_that_is_none_ends_the_scan_before_it_begins(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps({"hello": "world"}))
    ended = holdfast("scan", ".", "--baseline", "old.json", folder=tmp_path)
    assert ended.code == 2
    assert "is not a report of Holdfast" in ended.err


def test_a_report_is_not_written_over_its_own_baseline_and_a_part_is_no_baseline(tmp_path):
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    holdfast("scan", ".", "-o", "old.json", folder=tmp_path)
    before = (tmp_path / "old.json").read_bytes()
    ended = holdfast("scan", ".", "--baseline", "old.json", "-o", "./old.json", folder=tmp_path)
    assert ended.code == 2
    assert "over its own baseline" in ended.err
    assert (tmp_path / "old.json").read_bytes() == before
    assert holdfast("scan", ".", "--baseline", "old.json", "-o", "new.json", folder=tmp_path).code == 0
    ended = holdfast("scan", ".", "--baseline", "new.json", folder=tmp_path)
    assert ended.code == 2
    assert "only what was new" in ended.err
