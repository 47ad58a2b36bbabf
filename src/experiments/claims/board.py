"""All verdicts side by side: those that came with this package, and those found in outputs/claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.claim import Claim, claim_names, read_claim
from experiments.claims.verdict import ClaimVerdict, read_verdict
from experiments.claims.wording import cost, head_and_rows, holds_where
from experiments.config.command_words import split_words
from experiments.config.options import conf_dir
from experiments.errors import UserError
from experiments.system.files import write_json, write_text
from experiments.system.terminal import terminal_width
from experiments.viz.tables import markdown, table, without

OUTPUTS = Path("outputs/claims")
FILE = "verdict.json"
_INTRODUCTION = """\
# Claims, measured

What the course states, tested: each claim is a file in `conf/claim`, and one command runs its sweep and says whether it **holds**, **does not
hold**, or **cannot be told** from these runs ([how](#how-a-claim-is-tested)). This page is written by `experiments claim --page` from the recorded
verdicts; nothing on it is typed by hand.
"""
_HOW = """\
## What no claim tests

| statement of the course | why |
| --- | --- |
| When to use which | Judgements without a quantity of their own; the claims on accuracy, data and time are what they rest on. |
| Tables of tasks, of uses and of what layers see | Lists, which no comparison refutes; `experiments show RUN` draws what layers see. |
| An LSTM for a large vocabulary | Not measured: the data sets of words that need no download are small. |
| Any claim at `size=full` | Never run: verdicts are those of `size=small`, on small data, and may change with more. |

## How a claim is tested

`experiments claim NAME` checks the claim's sweep, runs what is missing, compares and draws; the same command again resumes where it was stopped.
`size=full` takes more data, epochs or seeds than `size=small`; all verdicts here are of `size=small`, and `size=full` was never run. Other words are passed to the sweep, as `launcher.jobs=2`; those that
change what is measured are noted beside the verdict. `experiments claim --list` shows all verdicts, yours before these.

A claim is one or several comparisons of cells (a cell is all runs that differ in nothing but the seed). Each comparison names the margin that
matters. It holds where the effect lies beyond the margin and chance alone would hardly put it there (p below 0.05: paired by seed, Student's t
against the margin, corrected by Holm for all comparisons of the claim); it does not hold where the effect lies short of the margin as surely; else
it cannot be told. Counts, such as parameters, need no statistics. A claim holds where all its comparisons hold, and does not hold where one does not.
The interval is that of the effect, at 95 % and not corrected. Seconds are those of a machine that did other work beside it.

A claim that does not hold is told with conditions under which it does: measured here, by the claim or on the page that is named, or taken from the
literature, with its source. Below the comparisons a picture may have curves, such as the gradient by layer: the mean of all seeds, and a band from the
least of them to the largest.

A claim of your own is one more file: `experiments claim NAME --config-dir FOLDER` reads `FOLDER/claim/NAME.yaml`.
"""


def measured_dir() -> Path:
    """Return the folder of the verdicts that come with this package."""
    return conf_dir() / "claim" / "measured"


def page_file() -> Path:
    """Return the page of all claims in a checkout.

    Raises:
        UserError: where the package is installed without its docs.
    """
    docs = conf_dir().parent / "docs"
    if not docs.is_dir():
        raise UserError(f"{docs} is not there: --record and --page write the docs of a checkout")
    return docs / "claims.md"


def verdict_of(name: str, size: str | None = None) -> tuple[ClaimVerdict, bool] | None:
    """Return the latest verdict on a claim and whether it was found here, in outputs/claims; the full size before the
    small one.
    """
    for size_ in [size] if size else ["full", "small"]:
        for path, here in (
            (OUTPUTS / f"{name}_{size_}" / FILE, True),
            (measured_dir() / f"{name}_{size_}.json", False),
        ):
            if path.is_file():
                return read_verdict(path), here
    return None


def list_claims(words: list[str]) -> int:
    """`experiments list claims [WORD…]`: the claims that have some words, with their verdicts.

    Raises:
        UserError: for a switch, and where no claim has the words.
    """
    names, folders, switches = split_words(words)
    if switches:
        raise UserError(f"experiments list claims does not know {switches[0]}: give words to look for")
    print(listing(folders, names))
    return 0


def listing(config_dirs: Sequence[str] = (), wanted: Sequence[str] = ()) -> str:
    """Return a row a claim: its verdict, with date and machine.

    Args:
        config_dirs: further folders of configs.
        wanted: words that each claim shown has in its name, statement or source.

    Raises:
        UserError: where no claim has them.
    """
    rows = []
    for name in claim_names(config_dirs):
        claim = read_claim(name, config_dirs)
        text = f"{name} {claim.statement} {claim.source}".lower()
        if not all(word.lower() in text for word in wanted):
            continue
        measured = verdict_of(name)
        if measured is None:
            rows.append([name, "not run", "", "", "", claim.statement])
            continue
        verdict, here = measured
        where = "here" if here else verdict.machine
        rows.append([name, _word(verdict, claim), verdict.size, verdict.date, where, claim.statement])
    if not rows:
        raise UserError(f"no claim has {' and '.join(wanted)}: see experiments list claims")
    head = ["claim", "verdict", "size", "date", "where", "statement"]
    wide = terminal_width()
    shown, cells, _, left_out = without(head, rows, [], wide, ["where", "size", "date"], whole=True)
    more = f"\nin a wider terminal: {', '.join(reversed(left_out))}" if left_out else ""
    return table(shown, cells, wide=wide) + more


def _word(verdict: ClaimVerdict, claim: Claim) -> str:
    """Return the verdict, marked where the claim's file has changed since."""
    return verdict.verdict + (" (by an earlier form of the claim)" if verdict.digest != claim.digest else "")


def record(verdict: ClaimVerdict, picture: Path) -> list[Path]:
    """Keeps a verdict and its picture with the package and writes the page anew; gives the files written.

    Raises:
        UserError: for a verdict whose sweep was changed by the user, and outside a checkout.
    """
    page = page_file()
    if verdict.changed:
        raise UserError(
            f"--record keeps a claim's own sweep, and {' '.join(verdict.changed)} changed it: leave that out"
        )
    kept = measured_dir() / f"{verdict.claim}_{verdict.size}.json"
    write_json(kept, verdict.plain())
    image = page.parent / "claims" / f"{verdict.claim}.png"
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(picture.read_bytes())
    return [kept, image, *write_page()]


def write_page() -> list[Path]:
    """Writes the page of all claims from the recorded verdicts; gives its path."""
    path = page_file()
    write_text(path, page())
    return [path]


def page() -> str:
    """Return the page of all claims, as Markdown."""
    claims = [read_claim(name) for name in claim_names()]
    verdicts = {claim.name: read_verdict(path) for claim in claims if (path := _recorded(claim.name))}
    rows = [
        [f"[{name}](#{name})", claim.statement, verdicts[name].verdict, verdicts[name].date] if name in verdicts else
        [f"[{name}](#{name})", claim.statement, "not run", ""]
        for claim in claims for name in [claim.name]
    ]  # fmt: skip
    parts = [_INTRODUCTION, markdown(["claim", "statement", "verdict", "date"], rows)]
    parts += [_section(claim, verdicts.get(claim.name)) for claim in claims]
    return "\n\n".join(part.strip() for part in [*parts, _HOW]) + "\n"


def _recorded(name: str) -> Path | None:
    paths = [measured_dir() / f"{name}_{size}.json" for size in ("full", "small")]
    return next((path for path in paths if path.is_file()), None)


def _section(claim: Claim, verdict: ClaimVerdict | None) -> str:
    """Return one claim on the page."""
    told = f"**{_word(verdict, claim)[0].upper()}{_word(verdict, claim)[1:]}.**" if verdict else "**Not run.**"
    parts = [f"## {claim.name}", f"{claim.statement} ({claim.source.rstrip('.')}.) {told}"]
    size = verdict.size if verdict else "small"
    parts.append(f"```\nexperiments claim {claim.name}{'' if size == 'small' else f' size={size}'}\n```")
    if verdict:
        parts.append(markdown(*head_and_rows(verdict)))
        parts.append(f"![{claim.statement}](claims/{claim.name}.png)")
    parts.append(f"Refuted by: {claim.refuted_by}")
    if claim.conditions:
        parts.append(claim.conditions)
    if claim.holds_where:
        parts.append("Where it holds:\n\n" + "\n".join(f"- {condition}" for condition in holds_where(claim)))
    if verdict:
        parts.append(f"{cost(verdict)}; {verdict.machine}; {verdict.date}.")
    return "\n\n".join(parts)
