"""Options at places that nothing reads."""

from __future__ import annotations

import pytest

from experiments.config.misplaced_keys import refers, refuse_unread
from experiments.errors import UserError


def test_an_interpolation_refers_to_its_key_alone() -> None:
    assert refers("lr: ${second.lr}", "second") and refers("${oc.select:second.lr,1}", "second")
    assert not refers("lr: ${seconds.lr}", "second") and not refers("second", "second")


def test_an_option_that_nothing_reads() -> None:
    refuse_unread(["+note=1"], {})
    refuse_unread(["+optimizer@second=sgd"], {"optimizer": {"lr": "${second.lr}"}})
    with pytest.raises(UserError, match=r"nothing reads second: choose the option itself, as in optimizer=sgd"):
        refuse_unread(["+optimizer@second=sgd"], {"optimizer": {"lr": 0.1}})
    with pytest.raises(UserError, match="because features has no key folder"):
        refuse_unread(["+features.folder=x"], {})
