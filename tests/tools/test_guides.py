"""What README and the guides show in C is code that is compiled and tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUOTES = [
    pytest.param(quote, id=f"{page.name}-{number}")
    for page in PAGES
    for number, quote in enumerate(re.findall(r"^```c\n(.*?)^```$", page.read_text(), re.M | re.S))
]
CODE = "\n".join(file.read_text() for file in sorted((ROOT / "services").glob("*/*.c")))


def test_there_are_quotes():
    assert len(QUOTES) >= 5


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quote_stands_in_a_service(quote):
    assert quote in CODE
