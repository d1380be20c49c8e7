import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts, Seen
from holdfast.model.logic import atoms, covers, has, is_, is_not, lacks
from holdfast.model.place import Where
from holdfast.model.report import Report
from holdfast.model.truth import UNKNOWN, YES
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words import container, host
from holdfast.reports import _words, holdfast_json, terminal
from holdfast.reports._lines import columns, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._values import human
from holdfast.reports._words import ENGLISH, Words
from holdfast.reports._words_told import TOLD
from holdfast.techniques import load
from reports_made import BROKEN, EMPTY, SOCKET, cache, database, finding, live, machine, shop, web

DATA = Path(__file__).parent / "data" / "reports"
SGR = re.compile(r"\x1b\[[0-9;]*m")


def plain(report, **options):
    return terminal.render(report, **{"colour": False, "width": 0, **options}).decode()


@pytest.mark.parametrize(
    ("name", "report", "options"),
    [
        ("shop.txt", shop(), {}),
        ("shop-60.txt", shop(), {"width": 60}),
        ("shop-verbose.txt", shop(), {"verbose": True}),
        ("machine.txt", machine(), {}),
    ],
)
def test_the_snapshots(name, report, options):
    assert plain(report, **options) == (DATA / name).read_text()


def test_the_worst_comes_first():
    out = plain(shop())
    assert out.startswith("escapable  web ")
    assert out.index("escapable  web") < out.index("unknown    shop/db") < out.index("contained  shop/cache")


def test_the_shortest_way_stands_with_its_facts_places_and_fix():
    out = plain(shop()).splitlines()
    assert "  docker-socket -> host root, engine API" in out
    assert "    host path /run/docker.sock is mounted  line 14" in out
    assert "  fix: do not mount the engine's socket" in out


def test_what_to_look_at_stands_with_the_reason():
    assert "  look at: host.coredump (not seen)" in plain(shop())
    report = Report((replace(web(), paths=web().paths[2:]),))
    assert "  look at: host.coredump (not seen: no host was given)" in plain(report)


def test_unconfirmed_ways_are_marked_and_confirmed_ones_are_not():
    lines = plain(shop()).splitlines()
    assert [each for each in lines if "confirmed by no drill yet" in each] == [
        "  core-pattern -> host root  [confirmed by no drill yet]"
    ]


def test_what_hangs_on_the_host_is_one_line_however_many_workloads_there_are():
    many = Report(tuple(cache(f"c{n}", n + 1) for n in range(50)))
    out = plain(many)
    assert out.count("give --host this") == 1
    assert "1 way depends only on the host" in out
    assert "30 more are not shown (--verbose): 30 contained" in out
    assert out.count("\n") == 26  # 20 workloads, those left out, the host's line, the summary, and an empty line each
    whole = plain(many, verbose=True)
    assert whole.count("contained  c") == 50
    assert "not shown" not in whole
    contradicting = replace(cache("last"), contradictions=web().contradictions)
    assert "contained  last" in plain(Report((*many.assessments, contradicting)))


def test_a_host_that_did_not_show_everything_is_named():
    out = plain(Report((replace(cache(), host="node-7"),), host="node-7"))
    assert "1 way depends only on what node-7 did not show: container.capabilities" in out
    assert "give --host" not in out


def test_documents_without_a_host_beside_a_live_container_are_not_said_to_have_seen_this_machine():
    out = plain(Report((cache(), replace(cache("live"), host="this machine")), host="this machine"))
    assert "1 way depends only on the host, which was not seen: give --host this" in out
    assert "1 way depends only on what this machine did not show: container.capabilities" in out


def test_the_limit_keeps_the_worst_and_counts_the_others():
    out = plain(shop(), limit=1)
    assert "escapable  web" in out
    assert "shop/db" not in out
    assert "2 more are not shown (--verbose): 1 unknown, 1 contained" in out
    assert "3 containers: 1 escapable, 1 unknown, 1 contained" in out


def test_what_tells_most_comes_first_and_the_rest_is_cut():
    facts = Facts(
        {
            container.SANDBOX: Seen("none", Where("a.yaml", "", 1)),
            container.USER_ID: Seen(1000, Where("a.yaml", "", 2)),
            container.USER_NAMESPACE: Seen("host", Where("a.yaml", "", 3)),
            container.LSM_DENIES: Seen(Members(), Where("a.yaml", "", 4)),
            container.HOST_PATHS: Seen(Paths(("/run/docker.sock",)), Where("a.yaml", "", 5)),
            container.CAPABILITIES: Seen(Members.of("CAP_SYS_ADMIN"), Where("a.yaml", "", 6), "engine default"),
        }
    )
    condition = (
        is_(container.SANDBOX, "none")
        & lacks(container.LSM_DENIES, "mount")
        & covers(container.HOST_PATHS, "/run/docker.sock")
        & ~covers(container.HOST_PATHS, "/var")
        & is_not(container.USER_ID, 0)
        & has(container.CAPABILITIES, "CAP_SYS_ADMIN")
        & is_(container.USER_NAMESPACE, "host")
    )
    technique = replace(SOCKET, exposed_when=condition)
    shown = finding(technique, facts)
    path = replace(live().paths[0], steps=(shown,))
    out = plain(Report((replace(live(), paths=(path,), findings=(shown,)),))).splitlines()
    assert [each.strip() for each in out[2:7]] == [
        "host path /run/docker.sock is mounted  a.yaml:5",
        "CAP_SYS_ADMIN is held  a.yaml:6  (engine default)",
        "its system calls reach the host's kernel  a.yaml:1",
        "no security module refuses mounts  a.yaml:4",
        "and 3 more facts (--verbose)",
    ]


def test_an_ancestor_is_named_with_what_it_holds():
    out = plain(Report((live(),)))
    assert "    host path /run is mounted, which holds /run/docker.sock  /HostConfig/Binds/0" in out


def test_an_answer_of_the_engine_is_one_line_so_the_pointer_is_shown():
    one = replace(live(), workload=replace(live().workload, source=Where("docker://3f2a9c", "", 1)))
    facts = Facts({container.HOST_PATHS: Seen(Paths(("/run",)), Where("docker://3f2a9c", "/HostConfig/Binds/0", 1))})
    technique = replace(SOCKET, exposed_when=covers(container.HOST_PATHS, "/run/docker.sock"))
    shown = finding(technique, facts)
    path = replace(one.paths[0], steps=(shown,))
    report = Report((replace(one, paths=(path,), findings=(shown,)),))
    assert plain(report).splitlines()[0] == "escapable  proxy  docker container  docker://3f2a9c"
    assert "/run/docker.sock  /HostConfig/Binds/0\n" in plain(report)
    assert "docker://3f2a9c#/HostConfig/Binds/0" in plain(report, verbose=True)


def test_a_condition_without_a_sentence_is_told_by_its_names():
    technique = replace(SOCKET, exposed_when=is_(host.ROUTE_LOCALNET, False) & has(container.DEVICES, "kvm"))
    facts = Facts(
        {
            host.ROUTE_LOCALNET: Seen(False, Where("/proc/sys/net")),
            container.DEVICES: Seen(Members.of("kvm"), Where("a.yaml", "", 3)),
        }
    )
    shown = finding(technique, facts)
    path = replace(live().paths[0], steps=(shown,))
    out = plain(Report((replace(live(), paths=(path,), findings=(shown,)),))).splitlines()
    assert "    a kvm device of the host is inside  a.yaml:3" in out
    assert "    host.route_localnet is no  /proc/sys/net" in out


def test_most_conditions_of_the_catalogue_have_a_sentence():
    every = [atom for technique in load().values() for atom in atoms(technique.exposed_when)]
    told = [keys(atom) & set(ENGLISH) for atom in every]
    assert sum(map(bool, told)) > 0.9 * len(every)


def keys(atom):
    base = f"told.{atom.fact.name}.{atom.op.name}"
    return {f"{base}.{human(atom.value, Words())}", *(() if atom.value is False else (base,))}


def test_no_sentence_about_a_condition_is_unused():
    every = [atom for technique in (*load().values(), SOCKET) for atom in atoms(technique.exposed_when)]
    used = set().union(*map(keys, every))
    spare = {key for key in TOLD if not key.startswith("told.act.")} - used
    assert spare <= {"told.container.privileged.IS", "told.container.user_id.IS", "told.engine.rootless.IS"}


def test_workloads_after_the_tenth_with_known_ways_are_told_in_two_lines():
    made = [replace(web(), workload=replace(web().workload, name=f"web-{n:02}")) for n in range(12)]
    out = plain(Report(tuple(made)))
    assert out.count("    host path /run/docker.sock is mounted") == 10
    assert out.count("  as web-00 above: docker-socket -> host root, engine API") == 2
    assert plain(Report(tuple(made)), verbose=True).count("as web-00 above") == 0


def test_verbose_shows_every_condition_and_the_graph():
    out = plain(shop(), verbose=True)
    assert re.search(r"no +container\.privileged is yes  seen: no  shop/compose.yaml:9  \(Compose default\)", out)
    assert "host root -> shop/db" in out
    assert "cgroup-release-agent" in out


def test_an_empty_scan_says_so():
    assert plain(EMPTY) == "no container found\n"
    assert plain(Report((), (BROKEN,))).endswith("no container found; 1 document not understood\n")


def test_nothing_but_text_where_no_colour_is_wanted():
    for width in (0, 60):
        out = terminal.render(shop(), colour=False, width=width)
        assert b"\x1b" not in out


def test_colour_is_sgr_alone_and_says_the_same():
    out = terminal.render(shop(), colour=True, width=0).decode()
    assert "\x1b[" in out
    assert SGR.sub("", out) == plain(shop())


@pytest.mark.parametrize("colour", [False, True])
def test_lines_keep_to_the_width(colour):
    out = SGR.sub("", terminal.render(shop(), colour=colour, width=50, verbose=True).decode())
    assert max(columns(each) for each in out.splitlines()) <= 50
    flat = plain(shop(), verbose=True)
    assert re.sub(r"\s", "", out) == re.sub(r"\s", "", flat)


def test_wide_characters_count_twice():
    out = painted([line("容器" * 30)], colour=False, width=40).decode().splitlines()
    assert [columns(each) for each in out] == [40, 40, 40, 6]
    assert "".join(each.strip() for each in out) == "容器" * 30


def test_plain_output_does_without_rich():
    code = (
        "import sys; from holdfast.model.report import Report; from holdfast.reports import terminal; "
        "terminal.render(Report(()), colour=False, width=80); sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_cannot_forge_lines_or_colours():
    name = "web\n\x1b[2J\x1b[32mcontained  web\r\u202eevil"
    forged = replace(web(), workload=replace(web().workload, name=name))
    out = plain(Report((forged,)))
    assert "web\\x0a\\x1b[2J\\x1b[32mcontained  web\\x0d\\u202eevil" in out
    assert not [each for each in out.splitlines() if each.startswith("contained")]


hostile = st.text(alphabet=st.characters(), max_size=30)


@settings(max_examples=60)
@given(hostile, hostile, st.booleans(), st.sampled_from([0, 30, 80]))
def test_no_foreign_text_writes_a_control_byte(name, note, colour, width):
    where = Where(note or "x", name, 3)
    facts = Facts({container.HOST_PATHS: Seen(Paths(("/run",)), where, note)})
    one = replace(live(), findings=(finding(SOCKET, facts),))
    one = replace(one, workload=replace(one.workload, name=name, kind=note, source=where))
    report = Report((one, web()), (NotUnderstood(name, note, name, 1),), (), (note, name), host=name)
    raw = terminal.render(report, colour=colour, width=width, verbose=True)
    out = raw.decode("utf-8")
    if colour:
        out = SGR.sub("", out)
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in out)


@given(st.text(alphabet=st.characters(), max_size=50))
def test_one_line_is_printable_and_leaves_plain_text_alone(text):
    out = one_line(text, 0)
    assert out.replace("\u00a0", "").replace("\u3000", "").isprintable()
    out.encode("utf-8")
    if text.isprintable():
        assert out == text


def test_long_foreign_text_is_cut():
    assert one_line("a" * 1000, 10) == "a" * 9 + "…"
    assert len(one_line("\x00" * 1_000_000)) < 2000


def test_every_sentence_can_be_filled_and_a_missing_translation_falls_back(monkeypatch):
    monkeypatch.setattr(_words, "TABLES", {"en": ENGLISH, "xx": {"verdict.contained": "ENTHALTEN"}})
    words = Words("xx")
    assert words("verdict.contained") == "ENTHALTEN"
    assert words("verdict.unknown") == "unknown"
    assert Words("nobody speaks this").language == "en"
    assert "ENTHALTEN  shop/cache" in plain(Report((cache(),)), language="xx")


def test_no_sentence_of_the_table_is_unused():
    source = (
        "".join(path.read_text() for path in Path(terminal.__file__).parent.glob("*.py") if path.name != "_words.py")
        + Path(_words.__file__).read_text().split("class Words")[1]
    )
    computed = ("told.", "verdict.", "truth.", "goal.", "op.", "value.", "evidence.", "html.verdict.")
    for key in ENGLISH:
        bare = key.removesuffix(".one").removesuffix(".many")
        assert key.startswith(computed) or f'"{bare}"' in source or f"'{bare}'" in source, key


def test_uncertain_ways_that_are_soonest_decided_come_first():
    far = finding(SOCKET, Facts())
    near = database()
    path = replace(near.paths[0], steps=(far,))
    both = replace(near, paths=(path, near.paths[0]), findings=(far, *near.findings))
    assert "  core-pattern -> host root" in plain(Report((both,))).splitlines()[1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (OtherThan(0), "container.host_user_id (known only in part: not 0)"),
        (Members(rest=UNKNOWN), "container.capabilities (not known about CAP_BPF)"),
    ],
)
def test_a_fact_known_in_part_is_said_to_be_so(value, said):
    fact = container.HOST_USER_ID if isinstance(value, OtherThan) else container.CAPABILITIES
    technique = replace(SOCKET, exposed_when=is_(fact, 1) if isinstance(value, OtherThan) else has(fact, "CAP_BPF"))
    open_question = finding(technique, Facts().saying(fact, value, Where("compose.yaml", "", 3)))
    assert open_question.verdict is UNKNOWN
    path = replace(database().paths[0], steps=(open_question,))
    report = Report((replace(database(), paths=(path,), findings=(open_question,)),))
    assert f"  look at: {said}" in plain(report).splitlines()
    assert json.loads(holdfast_json.render(report))["assessments"][0]["findings"][0]["proof"]["seen"] in (
        {"other_than": 0},
        {"yes": [], "maybe": [], "no": [], "rest": "unknown"},
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Members(), "nothing"),
        (Members.of("b", "a"), "a, b"),
        (Members.of("a", maybe=("d", "c")), "a; perhaps c, d"),
        (Members.of(maybe=("tun",)), "nothing; perhaps tun"),
        (Members(frozenset({"a"}), frozenset({"b"}), rest=UNKNOWN), "a; the rest is unknown"),
        (Members(no=frozenset({"a"}), rest=YES), "everything but a"),
    ],
)
def test_a_set_is_spelled_with_what_is_open_about_it(value, said):
    assert human(value, Words()) == said


def test_how_to_decide_what_is_unknown_is_said_once_and_only_where_something_is():
    assert (
        plain(Report((database(), database(), web()))).count("to decide what is unknown: --host this, or --assume") == 1
    )
    seen = plain(Report((replace(database(), host="node-7"),), host="node-7"))
    assert "--host this" not in seen
    assert seen.count("--assume FACT=VALUE") == 1
    assert "--assume FACT=VALUE" not in plain(Report((web(), cache())))
