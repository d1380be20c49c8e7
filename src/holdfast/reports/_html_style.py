"""The look of the HTML report: one style sheet, no outside font or picture; light, dark, phone and paper."""

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1a1f26;--soft:#545e6b;--line:#d5dae1;--accent:#0b57c2;
--bad:#b3261e;--bad-bg:#fdecea;--open:#7a4d00;--open-bg:#fff3d6;--good:#17663a;--good-bg:#e4f4ea;--code:#eef1f5}
@media (prefers-color-scheme:dark){:root{--bg:#12161b;--card:#1a2027;--ink:#e7ebf0;--soft:#a3adb9;--line:#343d48;
--accent:#8ab8ff;--bad:#ff9a92;--bad-bg:#41201e;--open:#ffce73;--open-bg:#3b2f14;--good:#86d8a5;--good-bg:#17331f;
--code:#242c35}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;
overflow-wrap:anywhere}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:1rem;top:-5rem;background:var(--card);padding:.5rem 1rem;
border-radius:0 0 8px 8px;z-index:2}
.skip:focus{top:0}
.hid{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
header,main,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .4rem;text-wrap:balance}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem}
h3,h4{font-size:1rem;margin:0}
p{margin:.4rem 0}
code,.code{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.75rem;margin:1.25rem 0 0;padding:0;
list-style:none}
.tile{background:var(--card);border:1px solid var(--line);border-left:6px solid;border-radius:10px;padding:.6rem .9rem}
.tile b{display:block;font-size:1.9rem;line-height:1.1}
.tile .soft{font-size:.88rem;display:block}
.escapable{--c:var(--bad);--cb:var(--bad-bg)}.unknown{--c:var(--open);--cb:var(--open-bg)}
.contained{--c:var(--good);--cb:var(--good-bg)}
.yes{--c:var(--bad);--cb:var(--bad-bg)}.no{--c:var(--good);--cb:var(--good-bg)}
.tile{border-left-color:var(--c)}.tile b,.tile strong{color:var(--c)}
.badge{display:inline-block;min-width:6.1rem;text-align:center;font-size:.82rem;font-weight:650;border-radius:99px;
padding:.08rem .6rem;color:var(--c);background:var(--cb);border:1px solid}
.badge.small{min-width:4.4rem;font-size:.75rem;padding:0 .4rem}
.mark{font-size:.82rem;color:var(--soft);border:1px dashed var(--line);border-radius:6px;padding:0 .4rem}
.card,.w,.more{background:var(--card);border:1px solid var(--line);border-radius:10px}
.card{padding:.8rem 1rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.5rem}
svg{display:block;margin:0 auto;font:13px system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
svg .col{fill:var(--soft);font-size:12px}
svg rect{fill:var(--code);stroke:var(--line)}
svg text{fill:var(--ink)}
svg .node.escapable rect,svg .node.unknown rect,svg .goal.yes rect,svg .goal.unknown rect{
fill:var(--cb);stroke:var(--c)}
svg .goal rect{rx:16px}
svg .edge{fill:none;stroke:var(--c);stroke-width:1.6;opacity:.8}
svg .edge.yes{stroke-width:2.2}
svg .edge.unknown{stroke-dasharray:6 5}
svg.lit .edge{opacity:.12}svg.lit .edge.on{opacity:1;stroke-width:3}
svg a{cursor:pointer}
svg a:focus-visible{outline:none}
svg a.node:focus-visible rect{stroke:var(--accent);stroke-width:3.5}
svg a:hover text{text-decoration:underline}
.chains{display:none;list-style:none;margin:0}
.card.chains{padding:.2rem .9rem}
.chains li{border-top:1px solid var(--line);padding:.6rem 0}
.chains li:first-child{border-top:0}
.way{display:block;margin:.15rem 0}
.way .step{font-weight:600}
.way .arrow{color:var(--soft);padding:0 .3rem}
.way .goal{color:var(--c);font-weight:600}
.filter{display:flex;flex-wrap:wrap;gap:.5rem 1.2rem;align-items:center;margin:0 0 .8rem;padding:0;border:0}
.filter legend{float:left;padding:0 .6rem 0 0}
.filter label{display:inline-flex;gap:.35rem;align-items:center;min-height:2.2rem}
.filter input[type=radio]{width:1.1rem;height:1.1rem;accent-color:var(--accent)}
.tools{display:none;gap:.6rem;flex-wrap:wrap;align-items:center;margin:0 0 .8rem}
.js .tools{display:flex}
.tools input{flex:1 1 12rem;min-width:0;font:inherit;padding:.4rem .6rem;border:1px solid var(--line);border-radius:8px;
background:var(--card);color:var(--ink)}
button{font:inherit;padding:.4rem .8rem;border:1px solid var(--line);border-radius:8px;background:var(--card);
color:var(--ink);cursor:pointer}
.list{list-style:none;margin:0;padding:0;display:grid;gap:.6rem}
.list>li{min-width:0}
summary{cursor:pointer;padding:.6rem .8rem;border-radius:10px}
.w>summary{display:grid;grid-template-columns:auto minmax(0,1fr) auto;gap:.1rem .9rem;align-items:baseline;
list-style:none}
.w>summary::-webkit-details-marker{display:none}
.w>summary .name{font-weight:650}
.w>summary .at{text-align:right}
.w>summary .way{grid-column:2/-1}
.w>summary::after{content:"+";grid-column:1;grid-row:2;justify-self:center;color:var(--soft);font-weight:700}
.w[open]>summary::after{content:"\\2212"}
.w:not(:has(.way))>summary::after{display:none}
.w .body{padding:.2rem 1rem 1rem;border-top:1px solid var(--line)}
.w .body h4{margin:1rem 0 .3rem}
.plain{padding:.6rem .8rem;display:grid;grid-template-columns:auto minmax(0,1fr) auto;gap:.1rem .9rem;
align-items:baseline}
.facts{margin:.2rem 0;padding:0 0 0 1.2rem;list-style:disc}
.facts.card{padding:.6rem 1rem .6rem 2rem}
.facts li{margin:.15rem 0}
.at{color:var(--soft);font-size:.88rem}
.find{border-top:1px solid var(--line);padding:.7rem 0 .2rem}
.find:first-of-type{border-top:0}
.find details summary,.rest summary{padding:.3rem 0;color:var(--accent)}
.fix{border-left:4px solid var(--good);padding:.1rem 0 .1rem .7rem;margin:.4rem 0}
.fix ul,.look ul{margin:.1rem 0;padding-left:1.1rem}
.look{border-left:4px solid var(--open);padding:.1rem 0 .1rem .7rem;margin:.4rem 0}
.tree,.tree ul{list-style:none;margin:0;padding:0}
.tree ul{margin-left:.55rem;padding-left:.8rem;border-left:2px solid var(--line)}
.tree li{padding:.2rem 0}
.more{margin:.5rem 0}
.more>div{padding:0 1rem .8rem}
.more h3{display:inline}
dl{margin:.3rem 0}
dt{font-weight:600}
dd{margin:0 0 .5rem;color:var(--soft)}
.about{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.1rem .9rem}
.about dd{margin:0}
footer{padding:2rem 1.25rem 3rem;color:var(--soft);font-size:.9rem}
body:has(#f-escapable:checked) .list>li:not(.escapable),body:has(#f-unknown:checked) .list>li:not(.unknown),
body:has(#f-contained:checked) .list>li:not(.contained),.list>li.off{display:none}
@media (max-width:46rem){
header,main,footer{padding-left:.9rem;padding-right:.9rem}
h1{font-size:1.3rem}
.tiles{gap:.5rem}.tile{padding:.5rem .6rem;border-left-width:4px}.tile .soft{display:none}.tile b{font-size:1.5rem}
.tile strong{font-size:.88rem;overflow-wrap:normal}
.drawn{display:none}.chains{display:block}
.w>summary,.plain{grid-template-columns:minmax(0,1fr) auto}
.w>summary .badge,.plain .badge{grid-column:1;justify-self:start}
.w>summary .who,.plain .who,.w>summary .at,.plain .at,.w>summary .way{grid-column:1/-1;text-align:left}
.w>summary::after{grid-column:2;grid-row:1;justify-self:end}
.tree ul{margin-left:.2rem;padding-left:.6rem}
.w .body{padding:.2rem .8rem .8rem}
}
@media (max-width:22rem){.tiles{grid-template-columns:minmax(0,1fr)}}
@media (prefers-reduced-motion:no-preference){svg .edge{transition:opacity .15s}}
@media print{
:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--bad:#a00;--open:#640;--good:#063;
--bad-bg:#fff;--open-bg:#fff;--good-bg:#fff;--code:#fff}
body{font-size:10.5pt}.skip,.filter,.tools{display:none!important}
.scroll{overflow:visible;border:0;padding:0}svg{max-width:100%;height:auto}
.w,.card,.more,.find{break-inside:avoid-page}.w .body{break-inside:auto}
details::details-content{content-visibility:visible;block-size:auto}
a{color:inherit;text-decoration:none}
}
"""
