"""The page of `experiments demo` in a browser: an example is chosen and answered, and nothing leaves the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.commands.answering import Answerer
from experiments.commands.demo import page

# Of each kind of data: overrides, the words that an answer shows, and how many pictures.
KINDS = {
    "image": (["data=digits", "model=lenet5"], "most probable", 1),
    "masks": (["data=generated_masks", "data.size=32"], "background", 2),
    "audio": (["data=generated_tones"], "most probable", 1),
}


def _submit_until(opened: Any, words: str) -> None:
    """An example or a file takes its time to be loaded: until then there is no input yet."""
    for _ in range(20):
        opened.get_by_role("button", name="Submit").click()
        for _ in range(12):
            opened.wait_for_timeout(250)
            if opened.get_by_text(words).first.is_visible():
                return
    pytest.fail(f"{words} does not appear: {opened.locator('body').inner_text()}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_answered(kind: str, browser: Any, untrained: Callable[..., Answerer]) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed")
    overrides, words, pictures = KINDS[kind]
    made = page(untrained(*overrides), 2)
    _, url, _ = made.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, share=False)
    opened = browser.new_page()
    outside, wrong = [], []
    opened.on(
        "request",
        lambda request: None if request.url.startswith((url, "data:", "blob:")) else outside.append(request.url),
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        opened.goto(url)
        submit = opened.get_by_role("button", name="Submit")
        submit.click(timeout=60_000)
        opened.get_by_text("there is no input yet").wait_for()
        opened.locator(".gallery-item, tr.tr-body td").first.click()
        _submit_until(opened, words)
        opened.locator("figure img").nth(pictures - 1).wait_for()
        assert opened.locator("figure img").count() == pictures
        assert opened.get_by_role("button", name="Share").count() == 0, "it would send the input to a site of Gradio's"
    finally:
        opened.close()
        made.close()
    assert not wrong and not outside, (wrong, outside)


@pytest.mark.slow
def test_what_is_no_image_ends_in_a_sentence(browser: Any, untrained: Callable[..., Answerer], tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed")
    (tmp_path / "broken.png").write_bytes(b"no image")
    made = page(untrained("data=digits", "model=lenet5"), 0)
    _, url, _ = made.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, share=False)
    opened = browser.new_page()
    try:
        opened.goto(url)
        opened.get_by_role("button", name="Submit").wait_for(timeout=60_000)
        opened.locator("input[type=file]").first.set_input_files(tmp_path / "broken.png")
        _submit_until(opened, "the file is no image that can be read: give PNG or JPEG")
    finally:
        opened.close()
        made.close()
