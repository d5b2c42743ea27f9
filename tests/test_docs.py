"""The documentation: every link leads somewhere, every command composes, every choice that is named exists."""

import re
import shlex

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.conftest import CHECKOUT

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")), *CHECKOUT.glob("localize/**/README.md")]
GROUPS = "|".join(p.name for p in (CHECKOUT / "conf").iterdir() if any(p.glob("*.yaml")))
THEIRS = {"mine"}  # the reader's own choices in examples


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> list[list[str]]:
    """The words after `python -m localize`, in blocks and in lines of text, without what stands for something."""
    found = re.findall(r"python -m localize ([^`\n]+)", text.replace("\\\n", " "))
    words = [shlex.split(line, comments=True) for line in found]
    return [[w for w in line if w not in ("...", "-m") and not w.startswith("hydra.")] for line in words]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_commands_compose(page):
    """Groups, choices and keys exist; of a sweep, every value is composed."""
    with initialize_config_module("localize.conf", version_base=None):
        for words in commands(page.read_text()):
            if any(w.startswith("--") for w in words):
                continue
            parsed = OverridesParser.create().parse_overrides(words)
            values = [
                [f"{o.key_or_group}={v}" for v in o.sweep_string_iterator()] if o.is_sweep_override() else [word]
                for o, word in zip(parsed, words, strict=True)
            ]
            for i in range(max(map(len, values))):
                compose("config", [v[min(i, len(v) - 1)] for v in values])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_choices_exist(page):
    for code in re.findall(r"`([^`\n]+)`", page.read_text()):
        for group, choice in re.findall(rf"(?<![\w.])({GROUPS})=([a-z]\w*)", code):
            assert choice in THEIRS or (CHECKOUT / "conf" / group / f"{choice}.yaml").is_file(), code


def test_every_choice_is_named():
    text = (CHECKOUT / "docs/choices.md").read_text()
    choices = [path for path in (CHECKOUT / "conf").glob("*/*.yaml") if path.parent.name not in ("pipeline", "table")]
    assert not [f"{p.parent.name}={p.stem}" for p in choices if f"`{p.stem}`" not in text]
