"""Policies: what they mean, what is refused, and that whatever stands in a file gives a policy or places of errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from holdfast.model.event import Executable
from holdfast.sensor.policy import Action, Policy, Selector, Whom, covers, effective
from holdfast.sensor.policy_read import Known, read
from watch_made import container, event, opened, process

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[1] / "schema" / "watch-policy-1.json").read_text()))
KNOWN = Known(
    {"core-pattern": ("T1611",), "proc-remount": ("T1611",), "host-root-read": ("T1005.001",), "kexec": ("T1014",)},
    ("Shell started", "Read [sensitive] file"),
)
WHOLE = """\
version: 1
mode: enforce
default: observe
responses_per_minute: 3
rules:
  - containers: {name: "web-*", label: {tier: front}}
    techniques: [core-pattern, "host-*"]
    action: kill
    scope: container
    reason: nobody needs this
    except:
      - {executable: /usr/bin/tool, user: 0}
      - {path: /var/log, action: alert}
  - containers: {image: "*/db:*", namespace: shop, pod: "db-?"}
    techniques: T1611
    action: deny
    otherwise: pause
    mode: audit
  - containers: host
    techniques: Shell started
    action: ignore
"""


def good(text: str) -> Policy:
    policy, problems = read(text, "p.yaml", KNOWN)
    assert not problems
    SCHEMA.validate(yaml.safe_load(text))
    return policy


def wrong(text: str) -> list[str]:
    _, problems = read(text, "p.yaml", KNOWN)
    return [f"{one.place}: {one.what} | {one.next}" for one in problems]


def rule(**parts: object) -> str:
    whole = {"containers": "containers", "techniques": ["core-pattern"], "action": "alert", **parts}
    return json.dumps({"version": 1, "rules": [whole]})


def test_a_whole_policy_is_read() -> None:
    policy = good(WHOLE)
    assert (policy.enforced, policy.default, policy.per_minute) == (True, Action.OBSERVE, 3)
    first, second, third = policy.lines
    assert first.selector == Selector(Whom.CONTAINERS, "web-*", labels=(("tier", "front"),))
    assert first.names == {"core-pattern", "host-root-read"}
    assert (first.action, first.whole, first.enforced, first.line) == (Action.KILL, True, True, 6)
    assert [one.action for one in first.exemptions] == [Action.IGNORE, Action.ALERT]
    assert second.names == {"core-pattern", "proc-remount"}
    assert (second.enforced, second.otherwise) == (False, Action.PAUSE)
    assert third.selector.whom is Whom.HOST


def test_an_empty_policy_alerts_and_only_says() -> None:
    policy = good("version: 1\n")
    assert not policy.enforced
    assert policy.decide(event("kexec", process()), "kexec").action is Action.ALERT


def test_the_first_rule_that_fits_decides() -> None:
    policy = good(WHOLE)
    web = container("web-1", labels={"tier": "front"})
    assert policy.decide(opened("/x", process(inside=web)), "core-pattern").action is Action.KILL
    assert policy.decide(opened("/x", process(inside=container("web-1"))), "core-pattern").action is Action.OBSERVE
    pod = container("k", image="r.example/db:2", labels={
        "io.kubernetes.pod.name": "db-1", "io.kubernetes.pod.namespace": "shop"})  # fmt: skip
    decided = policy.decide(opened("/x", process(inside=pod)), "proc-remount")
    assert (decided.action, decided.enforced, decided.otherwise, decided.line) == (Action.DENY, False, Action.PAUSE, 14)
    assert policy.decide(opened("/x", process()), "Shell started").action is Action.IGNORE
    assert policy.decide(opened("/x", process(inside=pod)), "Shell started").action is Action.OBSERVE


def test_a_container_nobody_described_fits_no_glob_but_every_container() -> None:
    unknown = process(inside=container("", image="", state="pending"))
    assert not Selector(Whom.CONTAINERS, name="*").fits(unknown.container, contained=True)
    assert Selector(Whom.CONTAINERS).fits(unknown.container, contained=True)
    assert Selector(Whom.CONTAINERS).fits(None, contained=True)
    assert not Selector(Whom.HOST).fits(None, contained=True)
    assert not Selector(Whom.CONTAINERS).fits(None, contained=False)


def test_exceptions_go_by_program_and_its_origin_by_path_and_user() -> None:
    policy = good(WHOLE)
    web = container("web-1", labels={"tier": "front"})
    tool = Executable("/usr/bin/tool", origin="image")
    assert policy.decide(opened("/x", process(inside=web, executable=tool)), "core-pattern").action is Action.IGNORE
    for other in (
        process(inside=web, executable=Executable("/usr/bin/tool", origin="upper")),
        process(inside=web, executable=Executable("/usr/bin/tool")),
        process(inside=web, executable=tool, effective_user=5),
    ):
        assert policy.decide(opened("/x", other), "core-pattern").action is Action.KILL
    who = process(inside=web)
    assert policy.decide(opened("/var/log/x", who), "core-pattern").action is Action.ALERT
    assert policy.decide(opened("/var/log", who), "core-pattern").action is Action.ALERT
    assert policy.decide(opened("/var/logs/x", who), "core-pattern").action is Action.KILL
    unresolved = opened("/var/log/x", who)
    unresolved.file.resolved = False
    assert policy.decide(unresolved, "core-pattern").action is Action.KILL


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules: []", "p.yaml:1:1: the policy does not say its version | begin with version: 1"),
        ("version: 2", "p.yaml:1:10: the version is '2'"),
        ("version: 1\nmodus: audit", "p.yaml:2:1: there is no key 'modus' in a policy | did you mean mode?"),
        ("version: 1\nmode: on", "p.yaml:2:7: the mode is 'on'"),
        ("version: 1\nversion: 1", "p.yaml:2:1: the key 'version' stands twice"),
        ("version: 1\nrules: 3", "p.yaml:2:8: rules must be a list"),
        ("version: 1\nresponses_per_minute: -1", "p.yaml:2:23: responses_per_minute must be a whole number"),
        ("[]", "p.yaml:1:1: a policy is one table"),
        ("", "p.yaml:1:1: a policy is one table"),
        ("a: [", "this is no YAML"),
        ("version: 1\nrules:\n- action: kil", "p.yaml:3:11: the action is 'kil' | did you mean kill?"),
        (rule(techniques=["core-patern"]), "no technique or rule is called 'core-patern' | did you mean core-pattern"),
        (rule(techniques=["zzz*"]), "no technique or rule is called 'zzz*'"),
        (rule(techniques=["T9999"]), "no technique or rule is called 'T9999'"),
        (rule(techniques=[]), "the rule names no technique"),
        (rule(containers={"nam": "x"}), "there is no key 'nam' in containers | did you mean name?"),
        (rule(containers={}), "the selector is empty"),
        (rule(containers="hosts"), "containers is 'hosts' | did you mean host?"),
        (rule(containers="host", action="kill"), "kill is for containers; this rule is about host"),
        (rule(containers="everything", action="deny"), "deny is for containers; this rule is about everything"),
        (rule(scope="container"), "scope says whom to kill, and this rule kills nobody"),
        (rule(otherwise="kill"), "otherwise is for deny alone"),
        (rule(**{"except": [{}]}), "the exception names nobody"),
        (rule(**{"except": [{"path": "var"}]}), "the path must be absolute"),
        (rule(**{"except": [{"user": "root"}]}), "the user must be a whole number"),
        (rule(**{"except": [{"user": 0, "action": "kill"}]}), "the action is 'kill'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, told: str) -> None:
    assert any(told in one for one in wrong(text)), wrong(text)


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    for text in (
        "{}", '{"version": 2}', '{"version": 1, "modus": 1}', rule(containers={}), rule(action="kil"),
        rule(**{"except": [{}]}), rule(techniques=[]),
    ):  # fmt: skip
        assert wrong(text)
        assert not SCHEMA.is_valid(json.loads(text)), text


def test_two_rules_that_contradict_each_other_are_both_named() -> None:
    text = """\
version: 1
rules:
  - {containers: {name: web}, techniques: [core-pattern, kexec], action: pause}
  - {containers: {name: other}, techniques: [core-pattern], action: kill}
  - containers: {name: web}
    techniques: [proc-remount, core-pattern]
    action: kill
"""
    (told,) = wrong(text)
    assert "p.yaml:5:5: lines 3 and 5 contradict each other: pause (audit) and kill (audit)" in told
    assert "name=web and core-pattern" in told


def test_a_rule_that_never_decides_is_refused() -> None:
    text = """\
version: 1
rules:
  - {containers: everything, techniques: ["*"], action: alert}
  - {containers: {name: web}, techniques: [core-pattern], action: kill}
"""
    (told,) = wrong(text)
    assert "line 4 never decides: line 3 comes first" in told
    turned = text.splitlines()
    turned[2], turned[3] = turned[3], turned[2]
    good("\n".join(turned))


def test_the_table_says_what_holds() -> None:
    policy = good(WHOLE)
    table = {str(selector): {name: line.line for name, line in held.items()} for selector, held in
             effective(policy, KNOWN.every())}  # fmt: skip
    assert table == {
        "name=web-* label:tier=front": {"core-pattern": 6, "host-root-read": 6},
        "image=*/db:* pod=db-? namespace=shop": {"core-pattern": 14, "proc-remount": 14},
        "host": {"Shell started": 19},
    }


def test_the_kernel_is_told_only_what_it_can_decide_alone() -> None:
    policy = good(
        "version: 1\nmode: enforce\nrules:\n"
        "- {containers: {name: web}, techniques: [core-pattern], action: deny}\n"
        "- {containers: {name: web}, techniques: [kexec], action: deny, except: [{user: 0}]}\n"
        "- {containers: {name: web}, techniques: [proc-remount], action: deny, mode: audit}\n"
    )
    assert policy.denied(container("web"), KNOWN.techniques) == {"core-pattern"}
    assert policy.denied(container("other"), KNOWN.techniques) == set()


SELECTORS = st.builds(
    Selector, st.just(Whom.CONTAINERS), st.sampled_from(["", "*", "web", "web-*"]),
    st.sampled_from(["", "*", "a"]), labels=st.sampled_from([(), (("t", "x"),)]),
) | st.sampled_from([Selector(), Selector(Whom.HOST), Selector(Whom.CONTAINERS)])  # fmt: skip
PEOPLE = st.builds(
    container, st.sampled_from(["web", "web-1", "db"]), image=st.sampled_from(["a", "b"]),
    labels=st.sampled_from([{}, {"t": "x"}]),
) | st.none()  # fmt: skip


@given(SELECTORS, SELECTORS, PEOPLE)
def test_what_a_selector_covers_it_fits(wide: Selector, narrow: Selector, who) -> None:
    if covers(wide, narrow) and narrow.fits(who, contained=who is not None):
        assert wide.fits(who, contained=who is not None)


WORDS = st.sampled_from([
    "version", "1", "mode", "rules", "containers", "techniques", "action", "except", "name", "kill", "alert", "host",
    "core-pattern", "*", "user", "path", "/x", "", "null", "\u202e", "label",
])  # fmt: skip
TREES = st.recursive(
    WORDS | st.integers(-3, 9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=20,
)  # fmt: skip


@given(TREES | st.text(max_size=80))
def test_any_file_gives_a_policy_or_places(tree: object) -> None:
    text = tree if isinstance(tree, str) else json.dumps(tree)
    policy, problems = read(text, "p", KNOWN)
    for one in problems:
        assert one.place.line >= 1
        assert one.what
    if not problems:
        assert policy.decide(event("kexec", process()), "kexec").action in Action
