// SPDX-License-Identifier: Apache-2.0
// The page's style sheet. Words carry every verdict; colour only repeats them (blue and vermilion, told apart
// by all eyes).
#pragma once

namespace assay::harness::report {

inline constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--page:#f6f6f3;--card:#ffffff;--ink:#1a1c20;--quiet:#5d636e;--line:#dfe0dc;
--good:#1662a8;--good-soft:#dcebf8;--bad:#b23c0c;--bad-soft:#fbe4d9;--flat:#6b717c;--flat-soft:#ececea;
--fill:#5b94c9;--track:#e6e7e3;--open:#c9ccc6}
@media (prefers-color-scheme:dark){:root{--page:#131519;--card:#1b1e24;--ink:#e9e9e6;--quiet:#a0a6b2;--line:#30343d;
--good:#7cb8f2;--good-soft:#1b3350;--bad:#f39a6c;--bad-soft:#4a2413;--flat:#989eaa;--flat-soft:#2a2e36;
--fill:#4d82b5;--track:#2c3038;--open:#444a54}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1280px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:28px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:21px;margin:40px 0 12px}
h3{font-size:16px;margin:26px 0 10px}h4{font-size:13px;margin:0 0 2px;font-weight:600;font-family:ui-monospace,"DejaVu Sans Mono",monospace}
p{margin:6px 0}.quiet,.note{color:var(--quiet)}.note{font-size:13px}
code{font:12.5px ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));align-items:start;gap:14px;margin:18px 0}
.scores{grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr))}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;min-width:0}
.card .big{font-size:34px;font-weight:650;line-height:1.15;font-variant-numeric:tabular-nums}
.card .big small{font-size:17px;font-weight:400;color:var(--quiet)}
.points{display:block;width:100%;height:12px;margin:10px 0 8px}
rect.earned{fill:var(--good)}rect.lost{fill:var(--bad)}rect.open{fill:var(--open)}rect.stale{fill:var(--flat)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:8px 0 0;font-size:13.5px}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;min-width:640px;font-size:13px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:7px 10px;border-top:1px solid var(--line);vertical-align:top}
thead th{border-top:0;color:var(--quiet);font-weight:500;vertical-align:bottom}
td.figure,th.figure{text-align:right}td.figure{white-space:nowrap}td.name{white-space:nowrap;font-weight:550}
tr.case th{background:color-mix(in srgb,var(--track) 45%,transparent);font:600 12.5px ui-monospace,"DejaVu Sans Mono",monospace}
td.lines{white-space:pre}td.share{text-align:right}thead th{overflow-wrap:anywhere;min-width:78px}.against{color:var(--quiet);font-weight:400;margin-left:10px}
td.fastest{font-weight:700;color:var(--good)}
.pill{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12px;white-space:nowrap;background:var(--flat-soft);color:var(--ink)}
.pill.good{background:var(--good-soft);color:var(--good)}.pill.bad{background:var(--bad-soft);color:var(--bad)}
.failures{border-color:var(--bad)}.failures li{margin:6px 0}ul{margin:6px 0;padding-left:20px}
figure{margin:0 0 12px;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;overflow-x:auto}
.chart{display:block;width:100%;min-width:760px;height:auto}
.chart text{font-size:12.5px;fill:var(--ink)}.chart text.name{text-anchor:end}.chart text.tick{text-anchor:middle;font-size:11px;fill:var(--quiet)}
.chart text.quiet{fill:var(--quiet)}.chart text.better{fill:var(--good)}.chart text.worse{fill:var(--bad)}.chart text.unresolved{fill:var(--quiet)}
.chart path{fill:none}.chart .grid{stroke:var(--line)}.chart .one{stroke:var(--quiet);stroke-dasharray:3 3}
.chart .pairs{stroke:var(--quiet);stroke-width:1;opacity:.35}.chart .interval{stroke-width:2}
.chart .better{stroke:var(--good);fill:var(--good)}.chart .worse{stroke:var(--bad);fill:var(--bad)}
.chart .unresolved{stroke:var(--flat);fill:var(--card)}.chart text.better,.chart text.worse,.chart text.unresolved{stroke:none}
.chart .track{fill:var(--track)}.chart .fill{fill:var(--fill)}
.chart .solid{fill:inherit}.chart .ours{stroke:var(--good);fill:var(--good)}.chart .peer{stroke:var(--bad);fill:var(--bad)}
.chart .baseline{stroke:var(--flat);fill:var(--flat)}.chart text.ours,.chart text.peer,.chart text.baseline{stroke:none}
.chart g path.interval{fill:none}.chart g.peer path.solid{fill:var(--bad)}.chart .limit{stroke:var(--ink);stroke-width:1.5;opacity:.7}
.chart .leader{stroke:var(--line)}.chart text.end{text-anchor:end}
.memory .tensors{fill:var(--fill)}.memory .pool{fill:var(--bad)}.memory .outside{fill:var(--flat)}
.swatch{display:inline-block;width:11px;height:11px;margin-left:8px}.swatch.tensors{background:var(--fill)}.swatch.pool{background:var(--bad)}.swatch.outside{background:var(--flat)}
.spark{display:block;width:220px;height:44px}.spark .ours{fill:var(--good);stroke:var(--good)}.spark .one{stroke:var(--bad);stroke-dasharray:3 2;fill:none}
.chart text.start{text-anchor:start}.chart text.name.quiet{fill:var(--quiet)}.ulp0{fill:var(--track)}.ulp1{fill:color-mix(in srgb,var(--fill) 45%,var(--track))}.ulp2{fill:var(--fill)}
.ulp3{fill:var(--good)}.ulp4{fill:color-mix(in srgb,var(--bad) 35%,var(--track))}.ulp5{fill:color-mix(in srgb,var(--bad) 65%,var(--track))}.ulp6{fill:var(--bad)}
.sweeps{display:flex;flex-wrap:wrap;gap:14px;margin:0 0 12px}.sweep{margin:0}.sweep table{min-width:0;width:auto}.sweep th{font-weight:500;white-space:nowrap}
.sweep td,.sweep th{padding:5px 9px;border:1px solid var(--line)}.heat{text-align:right}
.faster0{background:var(--flat-soft)}.faster1{background:color-mix(in srgb,var(--good) 14%,var(--card))}
.faster2{background:color-mix(in srgb,var(--good) 32%,var(--card))}.faster3{background:color-mix(in srgb,var(--good) 52%,var(--card))}
.slower1{background:color-mix(in srgb,var(--bad) 14%,var(--card))}.slower2{background:color-mix(in srgb,var(--bad) 32%,var(--card))}
.slower3{background:color-mix(in srgb,var(--bad) 52%,var(--card))}tr:target,h3:target{outline:2px solid var(--good);outline-offset:2px}
details{margin:0 0 12px}summary{cursor:pointer;color:var(--quiet);padding:4px 0}
dd details,td details{margin:0}dd summary,td summary{padding:0}dd summary{color:var(--ink)}dd ul{padding-left:16px;color:var(--quiet)}
.command{user-select:all;background:var(--flat-soft);border-radius:4px;padding:1px 5px}
td details[open]{min-width:260px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;font-size:13.5px}a{color:var(--good)}:focus-visible{outline:2px solid var(--good);outline-offset:2px;border-radius:3px}
@media (max-width:600px){main{padding:18px 12px 40px}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 6px}.chart{min-width:640px}}
@media print{nav{display:none}:root{color-scheme:light}body{font-size:11px}main{max-width:none;padding:0}.scroll,figure{overflow:visible}
table{min-width:0;font-size:9px}.chart{min-width:0}figure,.card,tr{break-inside:avoid}h2,h3{break-after:avoid}
details:has(>figure,>ul)::details-content{content-visibility:visible;block-size:auto}}
)css";

}  // namespace assay::harness::report
