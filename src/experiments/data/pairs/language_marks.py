"""Tokens that stand for languages, as mBART reads and writes them: `en_XX`, `hi_IN`.

Of mBART-25 a text's mark stands behind its end, and a translation begins with its language's in place of a start (Liu et
al., "Multilingual denoising pre-training for neural machine translation", 2020); of mBART-50 it stands before the text, and
a translation's is written behind the start (Tang et al., "Multilingual translation with extensible multilingual pretraining
and finetuning", 2020).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.data.pairs.language_names import code_of
from experiments.data.text import tokens
from experiments.errors import UserError


class LanguageMarks(NamedTuple):
    """The marks of a tokenizer.

    Attributes:
        by_code: their numbers, by the language's code.
        behind: whether a text's stands behind its end, not before the text.
    """

    by_code: dict[str, int]
    behind: bool

    @classmethod
    def of(cls, tokenizer: Any) -> LanguageMarks | None:
        """Return those of a tokenizer; None where it puts none around a text."""
        added = tokenizer.get_added_tokens_decoder()
        names = {index: token.content for index, token in added.items()}
        marks = {name[:2]: index for index, name in names.items() if re.fullmatch(r"[a-z]{2}_[A-Z]{2}", name)}
        around = tokens.encode(tokenizer, ["."])[0]
        ends = {around[0], around[-1]} & set(marks.values())
        return cls(marks, around[-1] in marks.values()) if ends else None

    def settle(
        self, tokenizer: Any, languages: Sequence[str], start: int, first: int | None, end: int
    ) -> tuple[int, int | None]:
        """Return the token that a decoder reads first, and the one that it then writes before all else, if any.

        Args:
            tokenizer: gets the mark of the source around each text.
            languages: names of source and target.
            start: as it is without marks.
            first: likewise.
            end: ends a sentence.

        Raises:
            UserError: when there is no mark of a language, or nothing says into which.
        """
        source, target = (self._mark(language) for language in languages)
        if source is not None:
            self._frame(tokenizer, source, end)
        if target is not None:
            start, first = (target, None) if self.behind else (end, target)
        if (start if self.behind else first) not in self.by_code.values():
            raise UserError(
                f"these weights translate into several languages ({', '.join(sorted(self.by_code))}), and "
                f"data.languages=[{','.join(languages)}] names none of them as the second: try data.languages=[en,hi]"
            )
        return start, first

    def _mark(self, language: str) -> int | None:
        """Return a language's mark; None of what is no name of a language."""
        code = code_of(language)
        if code and code not in self.by_code:
            raise UserError(
                f"data.languages has {language}, for which these weights have no mark: they have {', '.join(sorted(self.by_code))}"
            )
        return self.by_code.get(code)

    def _frame(self, tokenizer: Any, mark: int, end: int) -> None:
        """Let the tokenizer put a language's mark and the end around each text."""
        from tokenizers import processors

        names = {index: tokenizer.id_to_token(index) for index in (mark, end)}
        single = [names[end], names[mark]] if self.behind else [names[end]]
        before = [] if self.behind else [names[mark]]
        tokenizer.post_processor = processors.TemplateProcessing(
            " ".join([*before, "$A", *single]),
            " ".join([*before, "$A", "$B", *single]),
            [(name, index) for index, name in names.items()],
        )
