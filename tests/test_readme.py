"""README.md shows a newcomer what there is, and leads to the reference."""

import re

from support import ROOT

README = (ROOT / "README.md").read_text()


def test_links_lead_somewhere() -> None:
    """Each link to a file of this repository has one."""
    for file in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / file).exists(), file


def test_first_thirty_lines_hold_the_commands_and_their_output() -> None:
    """A newcomer sees both commands and real output without scrolling."""
    start = "\n".join(README.splitlines()[:30])
    for part in ("make run", "make test", "curl", "HTTP/1.1 200 OK", '{"keys":[{'):
        assert part in start
