"""The look of a drill's page beside what every HTML report shares: tables, whose rows are blocks below 46 rem."""

from __future__ import annotations

from holdfast.reports._html_style import STYLE as SHARED

STYLE = (
    SHARED
    + """
.verdict{font-weight:650;border-left:6px solid var(--c);background:var(--cb);color:var(--c);padding:.5rem .9rem;
border-radius:8px;margin:1rem 0 0}
.loud{border:2px solid var(--bad);border-radius:10px;
padding:.2rem 1rem .8rem;margin-top:1.5rem;background:var(--bad-bg)}
.loud h2{color:var(--bad);margin-top:.8rem}
.target{margin:0 0 1rem}
.target>h3{font-size:1.1rem}
.target>h3 .soft{font-weight:400;font-size:.92rem}
.trouble{color:var(--open);font-weight:650}
table{border-collapse:collapse;width:100%;margin:.8rem 0 .4rem}
caption{text-align:left}
th,td{text-align:left;vertical-align:top;padding:.45rem .8rem .35rem 0;font-weight:400}
thead th{color:var(--soft);font-size:.88rem}
tbody{border-top:1px solid var(--line)}
tbody th{font-weight:650}
td:nth-child(2),td:nth-child(3){white-space:nowrap}
.how td{padding-top:0;white-space:normal}
.how p{margin:.1rem 0}
.how summary{padding:.1rem 0;color:var(--accent)}
.steps{margin:.3rem 0 .5rem;padding-left:1.6rem}
.steps li{margin:.2rem 0}
.steps .arrow{color:var(--soft);padding:0 .5rem}
.said{font-weight:650;color:var(--c)}
.more>summary h4{display:inline}
.control>summary{display:flex;flex-wrap:wrap;gap:.2rem .8rem;align-items:baseline}
@media (max-width:46rem){
table,tbody,tr,th,td{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody{padding:.5rem 0}
tbody th,tbody td{padding:.1rem 0}
td[data-label]::before{content:attr(data-label) ": ";color:var(--soft)}
.how td{padding-top:.2rem}
.card.target{padding:.7rem .8rem}
.more>div{padding:0 .7rem .7rem}
}
"""
)
