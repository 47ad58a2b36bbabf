"""`experiments claim`: checks a claim's sweep, runs what is missing of it, and says whether the claim holds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.claims import board
from experiments.claims.claim import SIZES, Claim, claim_names, read_claim
from experiments.claims.picture import picture
from experiments.claims.verdict import ClaimVerdict, judge
from experiments.claims.wording import as_text
from experiments.errors import RunFailed, UserError, unknown
from experiments.run.record import FINISHED, read_record
from experiments.system.files import write_json
from experiments.system.terminal import filled

HELP = """\
usage: experiments claim NAME [size=small|full] [key=value …]   test a claim of the course: run its sweep, say whether it holds
       experiments claim NAME --check                           what the sweep would do, without running it
       experiments claim --list                                 all claims and their verdicts
       experiments claim NAME --record                          keep the verdict with the package and write docs/claims.md
       experiments claim --page                                 write docs/claims.md from the verdicts that are kept

The same command again resumes where it was stopped, and runs nothing twice. Runs, verdict.json and pictures lie in
outputs/claims/NAME_SIZE, or where hydra.sweep.dir=FOLDER says. Other words go to the sweep, as launcher.jobs=2 does.
--config-dir FOLDER reads claims of your own from FOLDER/claim.
"""
_SWITCHES = ("--check", "--list", "--record", "--page")
_HARMLESS = (
    "launcher.",
    "hydra.",
    "logger",
    "callbacks.progress",
    "callbacks.figures",
    "features.",
)  # change no result

Train = Callable[[list[str]], int]


def main(names: Sequence[str], switches: Sequence[str], config_dirs: Sequence[str], train: Train, check: Train) -> int:
    """Runs `experiments claim`.

    Args:
        names: the words that are no switches.
        switches: those with dashes.
        config_dirs: further folders of configs.
        train, check: the commands of these names.

    Raises:
        UserError: for a mistake in what was asked.
        RunFailed: when runs failed.
    """
    if {"-h", "--help"} & set(switches):
        print(filled(HELP))
        return 0
    for word in switches:
        if word not in _SWITCHES:
            raise UserError(unknown(word, "no switch of claim", word, _SWITCHES))
    if "--list" in switches:
        print(board.listing(config_dirs))
        return 0
    if "--page" in switches:
        print(f"page      {board.write_page()[0]}")
        return 0
    claims = [word for word in names if "=" not in word]
    if len(claims) != 1:
        raise UserError(f"claim needs one name: choose from {', '.join(claim_names(config_dirs))}")
    size, more = _size([word for word in names if "=" in word])
    dirs = [f"--config-dir={folder}" for folder in config_dirs]
    testing = Testing(read_claim(claims[0], config_dirs), size, more, dirs)
    testing.announce()
    if "--check" in switches:
        return testing.check(check)
    testing.run(train)
    verdict = testing.conclude()
    if "--record" in switches:
        for path in board.record(verdict, testing.folder / "verdict.png"):
            print(f"recorded  {path}")
    return 0


def _size(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the size that is asked for, and the other words."""
    size = next((word.partition("=")[2] for word in reversed(words) if word.startswith("size=")), SIZES[0])
    if size not in SIZES:
        raise UserError(unknown(f"size={size}", "no size of a claim", size, SIZES))
    return size, [word for word in words if not word.startswith("size=")]


class Testing:
    """One claim on its way from a file to a verdict.

    Args:
        claim: what is tested.
        size: small or full.
        more: words of the user's for the sweep.
        dirs: `--config-dir=…` words.
    """

    def __init__(self, claim: Claim, size: str, more: Sequence[str], dirs: Sequence[str] = ()) -> None:
        self.claim, self.size, self.dirs = claim, size, list(dirs)
        given = [word.partition("=")[2] for word in more if word.startswith("hydra.sweep.dir=")]
        self.folder = Path(given[-1]) if given else board.OUTPUTS / f"{claim.name}_{size}"
        self.more = [word for word in more if not word.startswith("hydra.sweep.dir=")]
        self.first = self.folder.with_name(f"{self.folder.name}_first")
        words = claim.words(size, self.first, self.more)
        self.words = ["-m", *self.dirs, *words, f"hydra.sweep.dir={self.folder}"]

    def announce(self) -> None:
        """Says what is claimed and what will be done."""
        print(f"claim     {self.claim.statement}")
        print(f"source    {self.claim.source}")
        print(f"sweep     experiments train {shlex.join(self.words)}")
        print(f"time      about {self.claim.sizes[self.size].minutes:g} min on one core (size={self.size})", flush=True)

    def check(self, check: Train) -> int:
        """Says what the sweep would do; a sweep on weights of preparing runs is checked when these are there."""
        waiting = [name for name in self.claim.first if not self._finished(name)]
        for name in waiting:
            print(f"first     {name}: {' '.join(self.claim.first[name])}")
            check([*self.dirs, *self.claim.first[name]])
        return 0 if waiting else check(self.words)

    def run(self, train: Train) -> None:
        """Runs what is missing; failed runs are left to the verdict, which counts them.

        Raises:
            UserError: when the sweep cannot run.
        """
        for name, words in self.claim.first.items():
            folder = self.first / name
            if self._finished(name):
                continue
            if (folder / "config.yaml").exists():
                train([f"resume={folder}"])
            else:
                train([*self.dirs, *words, f"hydra.run.dir={folder}"])
        try:
            train(self.words)
        except RunFailed as error:
            print(f"warning: {error}")

    def _finished(self, name: str) -> bool:
        try:
            return read_record(self.first / name).get("status") == FINISHED
        except UserError:
            return False

    def conclude(self) -> ClaimVerdict:
        """Compares the runs, prints and keeps the verdict, and draws it.

        Raises:
            UserError: when runs that the claim names are missing.
        """
        changed = [word for word in self.more if not word.startswith(_HARMLESS)]
        verdict = judge(self.claim, self.size, self.folder, changed, self.first)
        print(f"\n{as_text(self.claim, verdict)}")
        write_json(self.folder / board.FILE, verdict.plain())
        path = self.folder / "verdict.png"
        picture(verdict, self.claim.statement).png(path, dpi=144)
        print(f"picture   {path}")
        print(f"report    experiments compare {self.folder} --html {self.folder}/report.html")
        return verdict
