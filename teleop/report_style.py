"""Style sheet of the report: one page, no outside resources, light, dark and print."""

CSS = """
:root { color-scheme: light dark;
  --bg:#fbfbfa; --card:#fff; --ink:#1d2126; --dim:#626b75; --line:#dfe2e6; --soft:#eef0f2;
  --a:#1f6fb5; --b:#d9742b; --good:#1d7f4b; --warn:#a86a00; --bad:#c0352b; }
@media (prefers-color-scheme: dark) { :root {
  --bg:#14171a; --card:#1c2024; --ink:#e4e7ea; --dim:#97a1ab; --line:#333a41; --soft:#262b30;
  --a:#62a8e8; --b:#f0995a; --good:#57c08a; --warn:#e0ab4a; --bad:#f0766b; } }
* { box-sizing:border-box }
body { margin:0; background:var(--bg); color:var(--ink);
  font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif }
main { max-width:1180px; margin:0 auto; padding:28px 20px 60px }
h1 { font-size:26px; margin:0 0 4px; letter-spacing:-.01em }
h2 { font-size:19px; margin:0 }
h3 { font-size:14px; margin:22px 0 8px; color:var(--dim); font-weight:600 }
p.lead { margin:0 0 18px; color:var(--dim) }
section.take { background:var(--card); border:1px solid var(--line); border-radius:10px;
  padding:18px 20px 20px; margin-top:26px }
header.take { display:flex; flex-wrap:wrap; gap:6px 12px; align-items:baseline }
header.take code { color:var(--dim); font-size:12px }
code { font:12.5px/1.4 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;
  overflow-wrap:anywhere }
table { border-collapse:collapse; width:100%; font-size:13.5px }
th { text-align:left; color:var(--dim); font-weight:600; font-size:12.5px }
th,td { padding:5px 10px 5px 0; border-bottom:1px solid var(--line); vertical-align:top }
td.n,th.n { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap }
tr:last-child td { border-bottom:0 }
.scroll { overflow-x:auto }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px;
  padding:10px 18px }
.pill { display:inline-block; padding:0 8px; border-radius:9px; font-size:12.5px; font-weight:600;
  border:1px solid currentColor; white-space:nowrap }
.good { color:var(--good) } .warn { color:var(--warn) } .bad { color:var(--bad) }
.dim { color:var(--dim) }
ul.why { margin:4px 0 0; padding-left:18px; font-size:13px }
dl.facts { display:grid; grid-template-columns:max-content 1fr; gap:2px 14px; margin:14px 0 0;
  font-size:13.5px }
dl.facts dt { color:var(--dim) } dl.facts dd { margin:0; overflow-wrap:anywhere }
.film { display:grid; grid-template-columns:86px repeat(var(--shots),1fr); gap:4px;
  align-items:center; font-size:12px; color:var(--dim) }
.film img { width:100%; display:block; border-radius:3px; background:var(--soft) }
.film .t { text-align:center; font-variant-numeric:tabular-nums }
.plots { display:grid; grid-template-columns:repeat(auto-fill,minmax(270px,1fr)); gap:8px 16px }
.wide { display:grid; grid-template-columns:repeat(auto-fit,minmax(380px,1fr)); gap:8px 20px }
svg { width:100%; height:auto; display:block }
svg text { fill:var(--ink); font-size:11px } svg .tick { fill:var(--dim); font-size:10px;
  paint-order:stroke; stroke:var(--card); stroke-width:3px }
svg .title { font-weight:600 } svg .note { fill:var(--ink); font-size:11px }
svg .grid { stroke:var(--line); stroke-width:1 } svg .mark { stroke:var(--b); stroke-width:1.2 }
svg .bar { fill:var(--a); opacity:.8 }
svg .curve { fill:none; stroke-width:1.2; stroke-linejoin:round }
svg .curve.a { stroke:var(--a) } svg .curve.b { stroke:var(--b); stroke-dasharray:4 2.5 }
svg .fill { opacity:.75 } svg .fill.a { fill:var(--a) } svg .fill.b { fill:var(--b) }
svg .fill.bad { fill:var(--bad) }
.key { font-size:12.5px; color:var(--dim); font-weight:400 }
.key i { display:inline-block; width:20px; border-top:2px solid var(--a); margin:0 4px 3px 10px }
.key i.b { border-top:2px dashed var(--b) }
details summary { cursor:pointer; color:var(--dim); font-size:13px; margin-top:8px }
footer { margin-top:30px; color:var(--dim); font-size:12.5px }
@media print { body { background:#fff; font-size:11pt } main { padding:0; max-width:none }
  section.take { break-before:page; border:0; padding:0 } svg,.film,tr { break-inside:avoid }
  .scroll { overflow:visible } }
"""
