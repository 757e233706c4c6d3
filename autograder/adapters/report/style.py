"""The page around the report: one file that needs no other, in light and dark, on a phone and on paper.

Its policy forbids every script but the filter below, by that script's own hash, and anything from elsewhere: what a
student wrote could not act even where the escaping failed.
"""

from __future__ import annotations

import base64
import hashlib
import html

CSS = """
:root { color-scheme: light dark; --bg: #fff; --card: #f6f7f9; --ink: #1b1f24; --dim: #5b6470; --line: #d9dde3;
  --held: #2f7fb8; --part: #d99a1c; --failed: #c8482f; --none: #aeb6c0; --accent: #2f7fb8; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --card: #1d2126; --ink: #e8eaed; --dim: #9aa4b0;
  --line: #343a42; --held: #4a9bd4; --part: #e0ac3f; --failed: #e0674d; --none: #59626d; --accent: #62aee2; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: var(--bg);
  max-width: 72rem; margin: 0 auto; padding: 1.2rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .2rem 0; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
.card h3 { margin-top: 0; } p { margin: .4rem 0; max-width: 48rem; } .dim { color: var(--dim); }
a { color: var(--accent); } code { font-size: .92em; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; margin: .6rem 0 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: .8rem;
  margin: .8rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .8rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; } .tile span { color: var(--dim); font-size: .85rem; }
.warn { border-left: 4px solid var(--failed); background: var(--card); padding: .5rem .8rem; margin: .8rem 0; }
ul.news { padding-left: 1.1rem; margin: .5rem 0; max-width: 56rem; } ul.news li { margin: .25rem 0; }
.hist { display: flex; align-items: flex-end; gap: 2px; height: 5rem; border-bottom: 1px solid var(--line); }
.hist i { flex: 1; background: var(--accent); border-radius: 2px 2px 0 0; min-height: 0; position: relative; }
.hist i.zero { background: none; } .hist i.top { background: var(--held); }
.hist i b { position: absolute; bottom: 100%; left: -4px; right: -4px; text-align: center; font: 10px/1.2 inherit;
  font-style: normal; font-weight: 400; color: var(--dim); }
.ends { display: flex; justify-content: space-between; color: var(--dim); font-size: .75rem; }
.stack { display: flex; height: .8rem; border-radius: 3px; overflow: hidden; background: var(--none); min-width: 6rem; }
.stack i { display: block; } .held { background: var(--held); } .part { background: var(--part); }
.failed { background: var(--failed); } .none { background: var(--none); }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .82rem; color: var(--dim); margin: .3rem 0; }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .3rem;
  vertical-align: -.1rem; }
.rows { display: grid; grid-template-columns: minmax(9rem, 1.6fr) minmax(6rem, 1fr) auto; gap: .3rem .8rem;
  align-items: center; margin: .5rem 0; font-size: .9rem; }
.rows .number { color: var(--dim); font-variant-numeric: tabular-nums; text-align: right; max-width: 17rem; }
@media (max-width: 34rem) { .rows { grid-template-columns: 1fr auto; } .rows .name { grid-column: 1 / -1;
  margin-top: .35rem; } }
.chips { display: flex; flex-wrap: wrap; gap: .25rem; margin: .35rem 0; }
.chips span { border: 1px solid var(--line); border-radius: 9px; padding: 0 .45rem; font-size: .8rem;
  max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.clip { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
details { margin: .25rem 0; } summary { cursor: pointer; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; } th, td { border-bottom: 1px solid var(--line);
  padding: .25rem .55rem; text-align: left; vertical-align: top; } th { font-weight: 600; }
td { max-width: 26rem; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.turned { writing-mode: vertical-rl; transform: rotate(180deg); padding: .5rem .2rem; }
.heat td.s { text-align: center; font-variant-numeric: tabular-nums; color: #fff; border: 1px solid var(--bg);
  padding: .1rem .3rem; min-width: 2.6rem; } .heat td.s.void { color: var(--dim); }
.heat td.s.part { color: #1b1f24; }
.heat th.who { position: sticky; left: 0; background: var(--bg); font-weight: 400; max-width: 11rem;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.axis { position: relative; height: 3.2rem; border-radius: 4px; margin-top: .6rem; overflow: hidden;
  border: 1px solid var(--line); } .axis > * { position: absolute; }
.axis .zone { top: 0; bottom: 0; opacity: .2; } .axis .dot { width: 9px; height: 9px; border-radius: 50%;
  background: var(--ink); border: 1px solid var(--bg); opacity: .75; margin: -4px 0 0 -4px; }
.axis .known { bottom: 2px; height: 4px; border-radius: 2px; background: var(--ink); opacity: .5; }
.grids { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(46%, 11rem), 1fr)); gap: .7rem; }
.grids figure { margin: 0; } .grids img { width: 100%; display: block; background: #fff; border-radius: 4px;
  border: 1px solid var(--line); } .grids figcaption { font-size: .8rem; line-height: 1.3; margin-top: .2rem; }
.grids .tag { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .3rem; }
input { font: inherit; padding: .3rem .6rem; width: min(100%, 20rem); border: 1px solid var(--line);
  border-radius: 6px; background: var(--card); color: inherit; }
.person { border-bottom: 1px solid var(--line); padding: .2rem 0; } .person ul { margin: .2rem 0 .6rem; }
@media print { nav, input { display: none; } body { max-width: none; } .card { break-inside: avoid; } }
"""

SCRIPT = """
const box = document.getElementById("filter");
box.addEventListener("input", () => {
  const word = box.value.toLowerCase();
  for (const e of document.querySelectorAll("[data-who]"))
    e.hidden = !e.dataset.who.toLowerCase().includes(word);
});
"""


def document(title: str, body: str) -> str:
    """The whole file. `title` is escaped here, `body` is HTML."""
    allowed = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{CSS}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}<script>{SCRIPT}</script></body></html>\n'
    )
