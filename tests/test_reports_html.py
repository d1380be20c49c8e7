import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.report import Edge, EscapePath, Report
from holdfast.model.truth import UNKNOWN, YES
from holdfast.model.values import Paths
from holdfast.model.words import container, reach
from holdfast.reports import html
from holdfast.reports._html_graph import groups
from reports_made import EMPTY, SOCKET, cache, database, finding, live, machine, shop, web

VOID = {"meta", "link", "input", "br", "path", "rect"}


class Page(HTMLParser):
    """A strict reader: every element is closed in its turn; attributes and texts are kept."""

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(data for tag, data in self.texts if tag not in {"style", "script"})


def read(report):
    return Page(html.render(report).decode("utf-8"))


REPORTS = pytest.mark.parametrize("report", [shop(), machine(), EMPTY], ids=["shop", "machine", "empty"])


@REPORTS
def test_it_is_well_formed_and_ids_and_links_agree(report):
    page = read(report)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for attrs in page.of("a"):
        href = attrs["href"]
        assert href.startswith("https://") or href.removeprefix("#") in ids, href
    for attrs in page.of("label"):
        assert attrs.get("for", "q") in {*ids, "q"}
    for _, attrs in page.elements:
        if "aria-labelledby" in attrs:
            assert attrs["aria-labelledby"] in ids


@REPORTS
def test_nothing_is_loaded_and_the_policy_names_the_very_style_and_script(report):
    source = html.render(report).decode()
    page = Page(source)
    policy = page.of("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; ")
    assert "unsafe" not in policy["content"]
    for kind in ("style", "script"):
        (inside,) = re.findall(f"<{kind}>(.*?)</{kind}>", source, re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy["content"]
        assert "http" not in inside
        assert "url(" not in inside
        assert "@import" not in inside
    for tag, attrs in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "form", "base", "video", "audio"}
        assert not [name for name in attrs if name.startswith("on") or name in {"style", "src", "srcset"}]
        assert tag != "link" or attrs["href"] == "data:,"


def test_every_workload_stands_in_the_list_worst_first():
    page = read(shop())
    items = [attrs["class"] for attrs in page.of("li") if "data-find" in attrs]
    assert items == ["escapable", "unknown", "contained"]
    for words in ("web", "shop/db", "shop/cache", "shop/compose.yaml:14", "do not mount the engine's socket"):
        assert words in page.text


def test_the_graph_is_drawn_with_its_verdicts():
    source = html.render(shop()).decode()
    (svg,) = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    tree = ET.fromstring(svg)
    ns = "{http://www.w3.org/2000/svg}"
    labels = [node.text for node in tree.iter(f"{ns}text") if node.get("class") != "col"]
    assert labels == ["web", "docker-socket", "host root", "engine API", "shop/db", "core-pattern", "1 other container"]
    edges = [path.get("class").split() for path in tree.iter(f"{ns}path")]
    assert ["edge", "yes", "g0"] in edges
    assert ["edge", "unknown", "g1"] in edges
    assert tree.get("width") == tree.get("viewBox").split()[2]
    width, height = (float(tree.get(name)) for name in ("width", "height"))
    for rect in tree.iter(f"{ns}rect"):
        assert 0 <= float(rect.get("x")) <= width - float(rect.get("width"))
        assert 0 <= float(rect.get("y")) <= height - float(rect.get("height"))


def test_a_certain_edge_wins_where_two_groups_share_it():
    unsure = replace(live(), paths=tuple(replace(path, verdict=UNKNOWN) for path in live().paths))
    source = html.render(Report((live(), replace(unsure, workload=database().workload)))).decode()
    assert re.search(r'class="edge yes g0 g1"', source)


def test_containers_with_the_same_ways_are_one_node():
    many = tuple(replace(live(), workload=replace(live().workload, name=f"p{n:03}")) for n in range(200))
    source = html.render(Report((*many, web()))).decode()
    (svg,) = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    assert "200 x p000" in svg or "201 x" in svg
    assert svg.count("<rect") < 10
    assert source.count("data-find=") == 201


def test_what_one_machine_leads_to_is_one_node_however_many_containers_run_there():
    edges = tuple(Edge("reach.host_root", f"c{n}", YES, ()) for n in range(300))
    page = read(replace(machine(), edges=edges))
    assert "300 other containers" in page.text
    assert "and 280 more" in page.text


def test_a_page_without_ways_says_so():
    page = read(Report((cache(),)))
    assert "svg" not in [tag for tag, _ in page.elements]
    assert "No way out of any container is open" in page.text
    assert "No container was found." in read(EMPTY).text


def test_not_understood_notes_and_what_hangs_on_the_host_are_said():
    text = read(shop()).text
    for words in (
        "deploy/old file.yaml:7", "replace the tab with spaces", "run as root to read the live filters",
        "1 way depends only on the host, which was not seen: give --host this", "--assume operator_exec",
        "declared as",
    ):  # fmt: skip
        assert words in text


def test_everything_that_can_be_done_can_be_done_with_the_keyboard():
    page = read(shop())
    for tag, attrs in page.elements:
        if "tabindex" in attrs:
            assert attrs["tabindex"] in {"0", "-1"}
        if "data-group" in attrs:
            assert tag == "a"
    links = [attrs["href"] for attrs in page.of("a")]
    assert links[0] == "#workloads"
    assert len(page.of("details")) == len(page.of("summary"))
    named = {attrs.get("id") for attrs in page.of("input")} | {attrs.get("id") for attrs in page.of("button")}
    assert {"f-all", "f-escapable", "f-unknown", "f-contained", "q", "open", "close"} <= named


def test_equal_reports_give_equal_bytes():
    assert html.render(shop()) == html.render(shop())


def test_a_large_report_stays_a_page_that_opens():
    many = tuple(replace(web(), workload=replace(web().workload, name=f"w{n}")) for n in range(3000))
    assert len(html.render(Report(many))) < 20_000_000


hostile = st.one_of(
    st.text(alphabet=st.characters(), max_size=30),
    st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'-->]]></style>", "{x}", "&lt;"]),
)


@settings(max_examples=60)
@given(hostile, hostile)
def test_hostile_names_stay_text(name, note):
    where = Where(note or "x", name, 3)
    facts = Facts({container.HOST_PATHS: Seen(Paths(("/run", name)), where, note)})
    one = replace(live(), findings=(finding(SOCKET, facts),))
    one = replace(one, workload=replace(one.workload, name=name, kind=note, image=name, source=where))
    edges = (Edge("reach.host_root", name, YES, ()),)
    report = Report((one,), (NotUnderstood(name, note, name, 1),), edges, (note,), host=name, tool_version=name)
    page = read(report)
    assert len(page.of("script")) == len(page.of("style")) == 1
    assert not page.of("img")
    allowed = {tag for tag, _ in read(shop()).elements} | {tag for tag, _ in read(machine()).elements}
    assert {tag for tag, _ in page.elements} <= allowed
    for _, attrs in page.elements:
        assert not [each for each in attrs if each.startswith("on")]
    for tag, text in page.texts:
        if tag not in {"style", "script"}:
            assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in text)
    if name.isprintable() and name.strip():
        assert name in page.text


def test_the_more_groups_there_are_the_fewer_ways_are_drawn_for_each():
    def group(number, ways):
        steps = [replace(live().findings[0], technique=replace(SOCKET, id=f"t{number}-{n}")) for n in range(ways)]
        paths = tuple(EscapePath((step,), reach.HOST_ROOT, YES) for step in steps)
        workload = replace(live().workload, name=f"c{number}")
        return replace(live(), workload=workload, paths=paths, findings=tuple(steps))

    for count, drawn in ((1, 8), (5, 8), (10, 4), (30, 2)):
        found = groups([group(number, 12) for number in range(count)])
        assert [len(each.ways) for each in found] == [drawn] * count
        assert [each.hidden for each in found] == [12 - drawn] * count


def test_a_page_says_which_containers_saw_a_host():
    here = replace(live(), host="this machine")
    assert "Judged against the host this machine." in read(Report((here,), host="this machine")).text
    assert "Judged without a host" in read(Report((cache(),))).text
    mixed = read(Report((here, cache()), host="this machine")).text
    assert "documents without a host" in mixed
    assert "1 way depends only on the host, which was not seen: give --host this" in mixed
