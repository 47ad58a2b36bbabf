"""A self-contained HTML page: no network, readable on a phone and on a projector, light and dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark;
  --back: #ffffff; --card: #f6f8fa; --ink: #1f2328; --grey: #59636e; --pale: #d8dee4; --accent: #0072b2; --mark: #c4500b;
  --c0: #c4500b; --c1: #0072b2; --c2: #00845f; --c3: #b5578f; --c4: #8a6a00; --c5: #2b94cf; --c6: #7a5195; --c7: #6e7781; }
@media screen and (prefers-color-scheme: dark) { :root {
  --back: #0f141a; --card: #171d25; --ink: #e6edf3; --grey: #9aa4af; --pale: #2d3640; --accent: #4fb3f0; --mark: #ff9a57;
  --c0: #ff9a57; --c1: #4fb3f0; --c2: #3ecf9f; --c3: #ef9fcb; --c4: #e3c44c; --c5: #9bd5ff; --c6: #bda2e8; --c7: #8b949e; } }
* { box-sizing: border-box; }
html { font-size: clamp(16px, 0.5vw + 11.5px, 26px); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 4rem) 3rem; max-width: 100rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .2rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .3rem 0 .8rem; max-width: 75ch; }
.quiet, figcaption, footer { color: var(--grey); font-size: .875rem; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 1rem; margin: 1.4rem 0 0; }
.answers div, figure { background: var(--card); border: 1px solid var(--pale); border-radius: .6rem; padding: 1rem 1.1rem; margin: 0; }
dt { color: var(--grey); font-size: .875rem; margin-bottom: .2rem; }
dd { margin: 0; white-space: pre-line; }
.answers div:first-child dd { font-size: 1.15rem; font-weight: 600; line-height: 1.4; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .8rem .38rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--pale); vertical-align: top; }
th { color: var(--grey); font-weight: 500; font-size: .875rem; border-bottom-width: 2px; }
th.r, td.r { text-align: right; }
th.r:not(:first-child), td.r:not(:first-child) { padding-left: .6rem; }
tr.best td { font-weight: 700; }
td.better { color: var(--c2); font-weight: 600; }
td.worse { color: var(--mark); font-weight: 600; }
.answers + .charts, .charts + h3 { margin-top: 1.4rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure.wide { grid-column: 1 / -1; }
figcaption { margin-top: .6rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
figure.wide svg { min-width: 32rem; max-width: 42rem; }
.halo { paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
.l { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.h { stroke-width: 1.5; fill: var(--back); }
@page { size: landscape; margin: 12mm; }
@media print { :root { color-scheme: light; } html { font-size: 9.5pt; } body { overflow-wrap: break-word; padding: 0; } figure, .answers div, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .charts { grid-template-columns: repeat(3, 1fr); align-items: start; } svg { max-height: 132mm; }
  .scroll { overflow: visible; } .scroll img { min-width: 0 !important; }
  table { font-size: clamp(5.5pt, calc(770pt / var(--wide, 1)), 8pt); } th { font-size: .9em; }
  th, td:not(.r) { white-space: normal; } th, td { padding: .3em .6em .3em 0; } th.r:not(:first-child), td.r:not(:first-child) { padding-left: 0; } }
"""
_COLOURS = ("back", "ink", "grey", "pale", "accent", "mark", *(f"c{place}" for place in range(8)))
_CLASSES = "".join(
    f".f.{name} {{ fill: var(--{name}); }} .l.{name}, .h.{name} {{ stroke: var(--{name}); }}\n" for name in _COLOURS
)


def page(title: str, parts: Sequence[str], *, style: str = "", script: str = "") -> str:
    """Return a whole page of finished HTML parts; nothing but its own style and script may act in it.

    Args:
        title: plain text, of the browser's tab.
        parts: HTML, whatever comes from elsewhere escaped.
        style: more CSS.
        script: JavaScript, if any; it runs when the page is read.
    """
    allowed, code = "", ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed, code = f" script-src 'sha256-{digest}';", f"<script>{script}</script>"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:;{allowed}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_STYLE}{_CLASSES}{style}</style></head>\n'
        "<body><main>\n" + "\n".join(parts) + f"\n</main>{code}</body></html>\n"
    )


def figure(title: str, caption: str, inner: str, wide: bool) -> str:
    """Return a card with a drawing or picture; a wide one takes the whole row and scrolls on a narrow screen.

    Args:
        title: plain text, or empty where the drawing has its own.
        caption: plain text.
        inner: HTML of the drawing.
    """
    kind = ' class="wide"' if wide else ""
    inner = f'<div class="scroll" tabindex="0">{inner}</div>' if wide else inner
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f"<figure{kind}>{head}{inner}<figcaption>{escape(caption)}</figcaption></figure>"
