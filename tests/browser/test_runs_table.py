"""The runs widget's script, in a real browser, beside a kernel that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbops import panels

pytestmark = pytest.mark.slow

SCRIPT = Path(panels.__file__).with_name("runs_table.js")


def test_a_kernel_that_ended_is_told_of_and_asked_no_more(chromium: Any) -> None:
    page = chromium.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_content('<div id="here"></div>')
    page.evaluate(
        """async script => {
             const { default: widget } = await import('data:text/javascript,' + encodeURIComponent(script));
             const values = { page: { project: 'crickets', runs: [] }, twin: 'none' };
             const model = {
               get: name => values[name], on: () => {}, off: () => {},
               send: () => { window.asked = (window.asked ?? 0) + 1; throw new Error('Cannot send'); },
             };
             widget.render({ model, el: document.getElementById('here') });
           }""",
        SCRIPT.read_text(),
    )
    button = page.wait_for_selector('button[title*="ended: run the cell again"]', timeout=30_000)
    page.wait_for_timeout(2500)  # longer than it waits between two questions
    assert button.is_disabled()
    assert page.evaluate("window.asked") == 1
    page.close()
    assert problems == []
