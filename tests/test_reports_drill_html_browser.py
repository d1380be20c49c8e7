"""A drill's page in a real browser: no overflow on a phone, the keyboard reaches everything, nothing is refused."""

from dataclasses import replace

import pytest

from drill_made import ALL, CACHE, MISSED, TECHNIQUES, WEB, broken
from holdfast.model.drill import Layer, StepAnswer
from holdfast.reports import drill_html
from reports_browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]
OPEN = "document.querySelectorAll('details').forEach(box=>box.open=true)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def hostile():
    """Everything as long as it can be, and without a space."""
    long = "x" * 300
    steps = (StepAnswer("open", "/" + "y" * 300, "E" * 60),)
    worst = replace(MISSED, technique=long, title=long, way=long, detected=long, reason=long, steps=steps)
    blocked = replace(CACHE.attempts[0], technique="z" * 80, blocked_by=tuple(Layer), together=True, reason=long)
    one = replace(WEB, name=long, kind="<script>alert(1)</script>", source=long, attempts=(worst, blocked))
    return replace(broken(), exercises=(one, WEB), controls=(one,), place=long, changed=(long,), left=(long,))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, report in {**ALL, "hostile": hostile()}.items():
        (folder / f"{name}.html").write_bytes(drill_html.render(report, techniques=TECHNIQUES))
    return lambda name: f"file://{folder}/{name}.html"


@pytest.mark.parametrize("name", ["shop", "broken", "hostile", "empty"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_never_scrolls_sideways(browser, address, name, width):
    browser.open(address(name), width)
    for prepare in ("0", OPEN):
        browser.run(prepare)
        assert browser.run("document.documentElement.scrollWidth") <= width
    inside = "[...document.querySelectorAll('main *')].filter(each=>each.getBoundingClientRect().right>innerWidth+1)"
    assert browser.run(f"{inside}.filter(each=>!each.closest('.hid,thead')).length") == 0


def test_nothing_is_refused_and_no_script_fails(browser, address):
    for name in ALL:
        browser.open(address(name), 1280)
        assert browser.run("document.documentElement.className") == "js"
        assert browser.console == []


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(browser, address):
    browser.open(address("broken"), 1280)
    wanted = browser.run(
        """[...document.querySelectorAll('a[href],summary,input,button,[tabindex="0"]')].filter(each=>
        each.checkVisibility()).map((each,n)=>(each.dataset.turn=n)).length"""
    )
    assert wanted > 12
    seen = []
    for _ in range(wanted):
        browser.press("Tab", 9)
        seen.append(browser.run("+document.activeElement.dataset.turn"))
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
        box = browser.run("(box=>[box.width,box.height])(document.activeElement.getBoundingClientRect())")
        assert min(box) > 0
    assert seen == list(range(wanted))


@pytest.mark.parametrize("scripts", [True, False])
def test_the_steps_of_an_attempt_open_with_enter(browser, address, scripts):
    browser.open(address("shop"), 1280, scripts=scripts)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.querySelector('.steps').checkVisibility()") is False
    browser.run("document.querySelector('.how summary').focus()")
    browser.press("Enter", 13)
    assert browser.run("document.querySelector('.steps').checkVisibility()") is True


def test_the_skip_link_leads_to_the_targets(browser, address):
    browser.open(address("shop"), 360)
    browser.press("Tab", 9)
    browser.press("Enter", 13)
    assert browser.run("document.activeElement.id") == "targets"


def test_on_a_phone_each_cell_names_its_column_and_on_a_desk_the_head_does(browser, address):
    shown = """(cell=>[getComputedStyle(cell,'::before').content.includes('blocked by'),
    document.querySelector('thead').getBoundingClientRect().height>5])(document.querySelectorAll('tbody td')[2])"""
    browser.open(address("shop"), 360)
    assert browser.run(shown) == [True, False]
    browser.open(address("shop"), 1280)
    assert browser.run(shown) == [False, True]


@pytest.mark.parametrize("width", [360, 1280])
def test_a_screen_reader_still_finds_a_table(browser, address, width):
    browser.open(address("shop"), width)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    browser.call("Accessibility.disable")
    assert roles.count("table") == 1  # the others are folded
    assert roles.count("rowheader") == 5
    assert roles.count("columnheader") == 5


def test_the_words_keep_their_contrast_in_the_light_and_in_the_dark(browser, address):
    contrast = """(()=>{const parse=c=>c.match(/[\\d.]+/g).map(Number);
    const lum=c=>{const v=c.slice(0,3).map(x=>{x/=255;return x<=.03928?x/12.92:((x+.055)/1.055)**2.4});
      return .2126*v[0]+.7152*v[1]+.0722*v[2]};
    const back=e=>{for(;e;e=e.parentElement){const c=parse(getComputedStyle(e).backgroundColor);
      if(c.length<4||c[3]>0)return c}return [255,255,255]};
    document.querySelectorAll('details').forEach(box=>box.open=true);
    let worst=[99,''];
    for(const e of document.querySelectorAll('main *,header *')){
      if(![...e.childNodes].some(n=>n.nodeType===3&&n.data.trim())||!e.checkVisibility())continue;
      const [a,b]=[lum(parse(getComputedStyle(e).color)),lum(back(e))].sort((x,y)=>y-x);
      const ratio=(a+.05)/(b+.05);
      if(ratio<worst[0])worst=[ratio,e.outerHTML.slice(0,120)]}
    return worst})()"""
    for dark in (False, True):
        browser.open(address("broken"), 1280, dark=dark)
        assert (browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 27)") is dark
        ratio, where = browser.run(contrast)
        assert ratio >= 4.5, (dark, where)


def test_on_paper_every_step_is_printed(browser, address):
    browser.open(address("shop"), 1280)
    browser.call("Emulation.setEmulatedMedia", media="print")
    height = browser.run("document.querySelector('.steps').getBoundingClientRect().height")
    browser.call("Emulation.setEmulatedMedia", media="")
    assert height > 0
