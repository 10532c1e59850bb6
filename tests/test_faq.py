"""Every answer of docs/faq.md leads to a lesson, and to a heading or a box that is there."""

from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = re.split(r"\n## ", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"))[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_an_answer_leads_to_where_it_is_measured(section):
    links = re.findall(r"\[(\d\d), \*(.+?)\*\]\(\.\./notebooks/(\d\d\w+)\.ipynb\)", section)
    assert links
    assert section.count("](../notebooks/") == len(links)
    for number, heading, name in links:
        assert name.startswith(number)
        lines = (ROOT / "notebooks" / "source" / f"{name}.py").read_text(encoding="utf-8").splitlines()
        headings = [line for line in lines if re.match(r"# #+ |# <details", line)]
        assert any(heading in line for line in headings), f"{name} has no heading with {heading!r}"
        assert (ROOT / "notebooks" / f"{name}.ipynb").exists()
