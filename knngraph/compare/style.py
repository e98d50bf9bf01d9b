"""The look of the page: light and dark, wide and narrow."""

STYLE = """
:root {
  --paper: #ffffff; --ink: #1d2329; --soft: #5a6570; --line: #d8dee4;
  --panel: #f2f6fa; --ours: #0072b2; --other: #9aa5b0; --mark: #d55e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e6eaee; --soft: #a3adb8; --line: #333b44;
    --panel: #1d242c; --ours: #56b4e9; --other: #6d7985; --mark: #f0913a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 860px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p, li { overflow-wrap: anywhere; }
code { font-size: 0.9em; }
.lead, .note, footer { color: var(--soft); }
.note, footer { font-size: 0.85rem; }
footer { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 0.5rem; }
.choice {
  background: var(--panel); border-left: 4px solid var(--mark);
  padding: 0.25rem 1rem; border-radius: 4px;
}
.chosen, tr.chosen th { color: var(--mark); }
span.chosen::before, li.chosen::before, tr.chosen th::before { content: "★ "; }
.choice p:first-child { font-size: 1.1rem; }
.bars {
  display: grid; grid-template-columns: max-content 1fr max-content;
  gap: 0.35rem 0.75rem; align-items: center;
}
.figure { font-variant-numeric: tabular-nums; text-align: right; font-size: 0.9rem; }
.track { min-width: 0; }
.bar { height: 1rem; min-width: 1px; border-radius: 0 3px 3px 0; }
.ours { background: var(--ours); }
.other { background: var(--other); }
.bar.leaves {
  background: linear-gradient(90deg, var(--other) 85%, transparent);
}
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; }
figure {
  margin: 0; display: grid; gap: 1rem; align-items: center;
  grid-template-columns: minmax(0, 1.6fr) minmax(0, 1fr);
}
figure ol { margin: 0; padding-left: 2.2rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 600 13px system-ui, sans-serif; }
svg text.tick { fill: var(--soft); font-weight: 400; font-size: 12px; }
.grid { stroke: var(--line); stroke-width: 1; }
.dot { stroke: var(--paper); stroke-width: 1.5; }
.dot.ours { fill: var(--ours); }
.dot.other { fill: var(--other); }
.dot.mark { stroke: var(--mark); stroke-width: 3; }
.frame { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.8rem 0.3rem 0; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
tbody th { font-weight: 400; }
thead th { color: var(--soft); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
@media (max-width: 600px) {
  .bars { grid-template-columns: 1fr max-content; gap: 0.1rem 0.75rem; }
  .bars .label { grid-column: 1 / -1; margin-top: 0.4rem; }
  figure { grid-template-columns: minmax(0, 1fr); }
}
"""
