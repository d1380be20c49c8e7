"""The HTML report in a real browser: no overflow on a phone, the keyboard reaches everything, nothing is refused."""

from dataclasses import replace

import pytest

from holdfast.model.report import Report
from holdfast.reports import html
from reports_browser import CHROMIUM, Browser
from reports_made import cache, database, live, shop, web

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    long = "x" * 300
    hostile = replace(web(), workload=replace(web().workload, name=long, kind="<script>alert(1)</script>", image=long))
    made = [replace(each, workload=replace(each.workload, name=f"team/{each.workload.name}-{n}"))
            for n in range(50) for each in (web(), database(), cache(), live())]  # fmt: skip
    pages = {"shop": shop(), "many": replace(shop(), assessments=(*made, hostile))}
    for name, report in pages.items():
        (folder / f"{name}.html").write_bytes(html.render(report))
    return lambda name, anchor="": f"file://{folder}/{name}.html{anchor}"


@pytest.mark.parametrize("name", ["shop", "many"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_never_scrolls_sideways(browser, address, name, width):
    browser.open(address(name), width)
    for prepare in ("0", "document.querySelectorAll('details').forEach(box=>box.open=true)"):
        browser.run(prepare)
        assert browser.run("document.documentElement.scrollWidth") <= width


def test_nothing_is_refused_and_no_script_fails(browser, address):
    for name in ("shop", "many"):
        browser.open(address(name), 1280)
        assert browser.run("document.documentElement.className") == "js"
        assert browser.console == []


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(browser, address):
    browser.open(address("shop"), 1280)
    wanted = browser.run(
        """[...document.querySelectorAll('a[href],summary,input,button,[tabindex="0"]')].filter(each=>
        each.checkVisibility()&&!(each.type==='radio'&&!each.checked)).map((each,n)=>(each.dataset.turn=n)).length"""
    )
    assert wanted > 12
    seen = []
    for _ in range(wanted):
        browser.press("Tab", 9)
        seen.append(browser.run("+document.activeElement.dataset.turn"))
        outline = browser.run(
            """(each=>{const shape=each.querySelector('rect');return getComputedStyle(each).outlineStyle!=='none'
            ||(shape&&getComputedStyle(shape).strokeWidth==='3.5px')})(document.activeElement)"""
        )
        assert outline, browser.run("document.activeElement.outerHTML.slice(0,200)")
        box = browser.run("(box=>[box.width,box.height])(document.activeElement.getBoundingClientRect())")
        assert min(box) > 0
    assert seen == list(range(wanted))


def test_a_workload_opens_with_enter_and_a_link_of_the_graph_leads_to_it(browser, address):
    browser.open(address("shop"), 1280)
    browser.run("document.querySelector('.list summary').focus()")
    browser.press("Enter", 13)
    assert browser.run("document.querySelector('.list details').open") is True
    browser.open(address("shop"), 1280)
    browser.run("document.querySelector('svg a').focus()")
    assert browser.run("document.querySelectorAll('.edge.on').length") > 0
    browser.press("Enter", 13)
    assert browser.run("document.getElementById('w0').parentElement.open") is True
    assert browser.run("document.getElementById('w0').checkVisibility()") is True


@pytest.mark.parametrize("scripts", [True, False])
def test_the_verdict_filter_works_with_and_without_scripts(browser, address, scripts):
    browser.open(address("shop"), 1280, scripts=scripts)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = "[...document.querySelectorAll('.list>li')].filter(each=>each.checkVisibility()).map(each=>each.className)"
    assert browser.run(shown) == ["escapable", "unknown", "contained"]
    browser.run("document.getElementById('f-unknown').click()")
    assert browser.run(shown) == ["unknown"]


def test_without_scripts_no_dead_control_is_shown_and_a_link_opens_its_workload(browser, address):
    browser.open(address("shop", "#w0"), 1280, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.getElementById('q').checkVisibility()") is False
    assert browser.run("document.getElementById('w0').parentElement.open") is True


def test_the_search_narrows_the_list_and_tells_how_many_are_left(browser, address):
    browser.open(address("many"), 1280)
    browser.run("(q=>{q.value='DB-7 postgres';q.dispatchEvent(new Event('input'))})(document.getElementById('q'))")
    assert browser.run("document.getElementById('shown').textContent") == "1 shown"


def test_the_dark_page_is_dark_and_its_words_keep_their_contrast(browser, address):
    contrast = """(()=>{const parse=c=>c.match(/[\\d.]+/g).map(Number);
    const lum=c=>{const v=c.slice(0,3).map(x=>{x/=255;return x<=.03928?x/12.92:((x+.055)/1.055)**2.4});
      return .2126*v[0]+.7152*v[1]+.0722*v[2]};
    const back=e=>{for(;e;e=e.parentElement){const c=parse(getComputedStyle(e).backgroundColor);
      if(c.length<4||c[3]>0)return c}return [255,255,255]};
    document.querySelectorAll('details').forEach(box=>box.open=true);
    let worst=[99,''];
    for(const e of document.querySelectorAll('main *,header *')){
      if(e.closest('svg')||![...e.childNodes].some(n=>n.nodeType===3&&n.data.trim())||!e.checkVisibility())continue;
      const [a,b]=[lum(parse(getComputedStyle(e).color)),lum(back(e))].sort((x,y)=>y-x);
      const ratio=(a+.05)/(b+.05);
      if(ratio<worst[0])worst=[ratio,e.outerHTML.slice(0,120)]}
    return worst})()"""
    for dark in (False, True):
        browser.open(address("shop"), 1280, dark=dark)
        light = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (light == "rgb(18, 22, 27)") is dark
        ratio, where = browser.run(contrast)
        assert ratio >= 4.5, (dark, where)


def test_on_a_phone_the_graph_is_a_list_and_on_a_desk_a_drawing(browser, address):
    visible = "[...document.querySelectorAll('.drawn svg,.chains')].map(each=>each.checkVisibility())"
    browser.open(address("shop"), 360)
    assert browser.run(visible) == [False, True]
    browser.open(address("shop"), 1280)
    assert browser.run(visible) == [True, False]


def test_on_paper_every_reason_is_printed(browser, address):
    browser.open(address("shop"), 1280)
    browser.call("Emulation.setEmulatedMedia", media="print")
    height = "document.querySelector('.tree').getBoundingClientRect().height"
    assert browser.run(height) > 0
    browser.call("Emulation.setEmulatedMedia", media="")


def test_a_scan_of_nothing_and_of_one_are_pages_too(browser, tmp_path):
    for number, report in enumerate((Report(()), Report((live(),)))):
        path = tmp_path / f"{number}.html"
        path.write_bytes(html.render(report))
        browser.open(f"file://{path}", 360)
        assert browser.run("document.documentElement.scrollWidth") <= 360
        assert browser.console == []
