import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import EVERYTHING, Members, Paths
from holdfast.model.words import container, declared, host, load
from holdfast.model.words.declared import Mount
from holdfast.model.workload import Described, Workload
from holdfast.reports import facts_listing

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "schema" / "facts-1.json").read_text())
Draft202012Validator.check_schema(SCHEMA)

COMPOSE = Where("compose.yaml", "/services/web", 3)
WEB = Described(
    Workload("web", "compose service", COMPOSE, "nginx"),
    Facts(
        {
            host.CGROUP_VERSION: Absent("no host was given"),
            container.USER_ID: Seen(0, Where("compose.yaml", "/services/web/user", 5)),
            container.CAPABILITIES: Seen(Members.of("CAP_KILL", "CAP_CHOWN"), COMPOSE, "Docker default"),
            container.SYSCALLS: Seen(EVERYTHING, COMPOSE),
            container.HOST_PATHS: Seen(Paths(("/run",)), COMPOSE, "", {"/run": Where("compose.yaml", "/v/0", 8)}),
            declared.MOUNTS: Seen((Mount("bind", "/run", "/host"),), COMPOSE),
            declared.SECCOMP_PROFILE: Seen({"defaultAction": "SCMP_ACT_ALLOW"}, COMPOSE),
        }
    ),
)


def test_facts_stand_grouped_with_value_and_place():
    lines = facts_listing.render([WEB]).decode().splitlines()
    assert lines[0] == "web (compose service)  compose.yaml:3"
    assert [each.strip() for each in lines if each.startswith("  ") and not each.startswith("    ")] == [
        "container",
        "host",
        "declared",
    ]
    assert "    container.user_id       0  compose.yaml:5" in lines
    assert "    container.capabilities  CAP_CHOWN, CAP_KILL  compose.yaml:3  (Docker default)" in lines
    assert "    container.syscalls      everything  compose.yaml:3" in lines


def test_what_nobody_saw_stands_there_with_its_reason():
    assert "    host.cgroup_version  not seen: no host was given" in facts_listing.render([WEB]).decode().splitlines()


def test_questions_that_nobody_even_tried_are_named():
    out = facts_listing.render([WEB], vocabulary=load()).decode()
    unanswered = out.split("nobody answers: ")[1]
    assert "host.lockdown" in unanswered
    assert "container.user_id," not in unanswered


def test_verbose_says_what_a_fact_means():
    out = facts_listing.render([WEB], verbose=True).decode()
    assert "      User id of the application's process, inside the container." in out


def test_no_fact_at_all_is_said():
    nothing = Described(WEB.workload, Facts())
    assert "  no fact is known" in facts_listing.render([nothing]).decode().splitlines()


def test_json_holds_to_its_schema():
    document = json.loads(facts_listing.render_json([WEB, WEB]))
    Draft202012Validator(SCHEMA).validate(document)
    facts = document["workloads"][0]["facts"]
    assert facts["container.capabilities"]["value"] == {
        "yes": ["CAP_CHOWN", "CAP_KILL"], "maybe": [], "no": [], "rest": "no",
    }  # fmt: skip
    assert facts["container.host_paths"]["parts"]["/run"]["line"] == 8
    assert facts["host.cgroup_version"] == {"absent": "no host was given", "place": None}
    assert facts["declared.mounts"]["value"][0]["source"] == "/run"


def test_a_nested_value_of_any_depth_can_be_listed():
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    described = Described(WEB.workload, Facts({declared.SECCOMP_PROFILE: Seen(deep, COMPOSE)}))
    assert "structure" in facts_listing.render([described]).decode()
    json.loads(facts_listing.render_json([described]))


@given(st.text(alphabet=st.characters(), max_size=40))
def test_hostile_values_forge_no_line(text):
    facts = Facts({container.SECCOMP: Seen(text, Where(text), text), host.LSMS: Absent(text, Where(text))})
    described = Described(Workload(text, text, Where(text)), facts)
    out = facts_listing.render([described], verbose=True).decode()
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in out)
    Draft202012Validator(SCHEMA).validate(json.loads(facts_listing.render_json([described])))
