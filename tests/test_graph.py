"""The whole machine as one graph: edges to goals, and from goals that give the machine away to every neighbour."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.place import Where
from holdfast.model.report import Assessment, EscapePath, Finding, Verdict
from holdfast.model.truth import UNKNOWN, YES
from holdfast.model.words import reach
from holdfast.model.words.reach import GOALS
from holdfast.model.workload import Workload
from holdfast.reason.graph import edges, machine_of
from reports_made import CORE_PATTERN, REMOUNT, SOCKET, Bearing, live, web


def step(technique, verdict=YES):
    return Finding(technique, verdict, live().findings[0].proof, Bearing.PATH)


def path(goal, *techniques, verdict=YES):
    return EscapePath(tuple(step(each, verdict) for each in techniques), goal, verdict)


def container(name, *paths, kind="docker container", document="docker://"):
    return Assessment(Workload(name, kind, Where(f"{document}{name}")), Verdict.ESCAPABLE, tuple(paths))


def told(assessments):
    return [(edge.start, edge.end, edge.verdict, edge.techniques) for edge in edges(assessments)]


def test_the_surest_path_to_a_goal_is_its_edge_and_of_equals_the_shortest():
    one = container(
        "a",
        path(reach.HOST_ROOT, SOCKET, verdict=UNKNOWN),
        path(reach.HOST_ROOT, REMOUNT, CORE_PATTERN),
        path(reach.HOST_FILE_READ, REMOUNT, CORE_PATTERN),
        path(reach.HOST_FILE_READ, SOCKET),
    )
    assert told([one]) == [
        ("a", "reach.host_root", YES, ("remount-proc-sys", "core-pattern")),
        ("a", "reach.host_file_read", YES, ("docker-socket",)),
    ]


def test_host_root_and_the_engine_lead_to_every_other_container_of_the_machine():
    one = container("a", path(reach.ENGINE_API, SOCKET))
    others = [
        container("b"),
        container("c", kind="process"),
        container("d", kind="containerd container", document="/run/x/"),
    ]
    found = told([one, *others])
    assert found[0] == ("a", "reach.engine_api", YES, ("docker-socket",))
    assert found[1:] == [("reach.engine_api", name, YES, ()) for name in "bcd"]


def test_a_lesser_goal_leads_to_nobody():
    for goal in set(GOALS) - {reach.HOST_ROOT, reach.ENGINE_API}:
        assert len(told([container("a", path(goal, SOCKET)), container("b")])) == 1


def test_the_surest_way_to_a_goal_makes_the_edges_that_go_on():
    maybe = container("a", path(reach.HOST_ROOT, SOCKET, verdict=UNKNOWN))
    sure = container("b", path(reach.HOST_ROOT, SOCKET))
    found = told([maybe, sure, container("c")])
    assert ("reach.host_root", "c", YES, ()) in found
    assert ("reach.host_root", "a", YES, ()) in found
    assert not [each for each in found if each[0].startswith("reach.") and each[2] is UNKNOWN]


def test_what_is_only_planned_leads_to_nobody_and_is_led_to_by_nobody():
    planned = [
        container("p", path(reach.HOST_ROOT, SOCKET), kind=kind, document="a.yaml")
        for kind in ("Pod", "compose service")
    ]
    running = container("r", path(reach.HOST_ROOT, SOCKET))
    assert len(told([*planned, running])) == 2
    assert ("reach.host_root", "r", YES, ()) not in told([*planned, running])


def test_containers_of_two_recordings_and_of_this_machine_are_three_machines():
    def recorded(name, document, *paths):
        return replace(container(name, *paths), workload=Workload(name, "docker container", Where(document)))

    first = [recorded("a", "one.json", path(reach.HOST_ROOT, SOCKET)), recorded("b", "one.json")]
    rest = [recorded("c", "two.json"), container("d")]
    assert [each for each in told([*first, *rest]) if each[0].startswith("reach.")] == [
        ("reach.host_root", "b", YES, ())
    ]
    assert machine_of(web().workload) == ""
    assert machine_of(live().workload) == "here"


def test_nobody_leads_nowhere():
    assert edges([]) == ()
    assert told([container("a"), container("b")]) == []


kinds = st.sampled_from(["docker container", "process", "Pod"])
made = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        kinds,
        st.lists(st.tuples(st.sampled_from(GOALS), st.sampled_from([YES, UNKNOWN])), max_size=4),
    ),
    max_size=6,
)


@given(made)
def test_every_edge_has_a_path_behind_it(spec):
    everybody = [
        container(name, *(path(goal, SOCKET, verdict=verdict) for goal, verdict in paths), kind=kind)
        for name, kind, paths in spec
    ]
    found = edges(everybody)
    assert len(set(found)) == len(found)
    for edge in found:
        assert edge.start != edge.end
        goal = edge.end if edge.techniques else edge.start
        behind = [p for each in everybody for p in each.paths if p.reaches.name == goal]
        assert edge.verdict <= max(p.verdict for p in behind)
