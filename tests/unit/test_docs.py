"""The documentation tells the truth: generated parts are fresh, links lead somewhere, whatever a page names exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from lab import checks, documents
from qbo_sync import cli, config
from qbo_sync.edge.preflight import CATALOGUE
from qbo_sync.miracle import journal

TOP = documents.TOP
OURS = sorted({*TOP.glob("docs/**/*.md"), TOP / "CONTRIBUTING.md"})
LINKED = sorted({*OURS, *TOP.glob("roles/*/README.md"), TOP / "README.md", TOP / "roles/README.md", TOP / "inventory/README.md"})
FENCE = re.compile(r"(?ms)^ *```.*?^ *```")
LINK = re.compile(r"\[[^\]\[]*\]\((?P<target>[^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")


def title(path: Path) -> str:
    return str(path.relative_to(TOP))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_of(path: Path) -> Iterator[str]:
    """Every piece of code on a page: indented or fenced lines, and spans; comments inside are left out."""
    text = path.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line.strip() for line in block.splitlines()[1:-1])
    rest = FENCE.sub("", text)
    for line in rest.splitlines():
        if line.startswith("    "):
            yield line.strip()
        else:
            yield from SPAN.findall(line)


@pytest.mark.parametrize("page", OURS, ids=title)
def test_generated_parts_are_what_the_code_says_today(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == documents.filled(text), f"{title(page)} is stale; run: ./kit docs"


def test_every_part_is_on_a_page_and_every_mark_is_a_whole_one() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in TOP.glob("docs/**/*.md"))
    assert {found["name"] for found in documents.PART.finditer(text)} == set(documents.PARTS)
    assert len(re.findall(r"(?m)^<!-- (?:generated: |end of )", text)) == 2 * len(documents.PARTS)


def test_a_stale_part_is_noticed() -> None:
    stale = "# Page\n<!-- generated: exit-codes -->\nyesterday\n<!-- end of exit-codes -->\nby hand\n"
    fresh = documents.filled(stale)
    assert "| 4 | `blocked` |" in fresh
    assert "yesterday" not in fresh
    assert fresh.endswith("by hand\n")
    assert documents.filled(fresh) == fresh


def leads_nowhere(page: Path, link: str) -> bool:
    """Whether a link on a page points at a file or a heading that is not there; addresses elsewhere are not looked at."""
    target, _, anchor = link.partition("#")
    there = (page.parent / target).resolve() if target else page
    return ":" not in target and (not there.exists() or (bool(anchor) and anchor not in anchors(there)))


@pytest.mark.parametrize("page", LINKED, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    links = [found["target"] for found in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8")))]
    assert [link for link in links if leads_nowhere(page, link)] == []


@pytest.mark.parametrize("link", ["nowhere.md", "security.md#no-such-heading", "#no-such-heading", "../no/such/file"])
def test_a_link_to_nowhere_is_noticed(link: str) -> None:
    assert leads_nowhere(TOP / "docs/README.md", link)
    assert not leads_nowhere(TOP / "docs/README.md", "security.md#the-pages-are-public")


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


def problem_with(call: list[str]) -> str:
    """What is wrong with a call of qbo-sync as a page prints it; empty when nothing is."""
    commands = dict(documents.all_commands())
    known = options_of(typer.main.get_command(cli.app)) | {"--help"}
    words = [word for word in call if not word.startswith("--")]
    name = next((n for n in (" ".join(words[:2]), *words[:1]) if n in commands), "")
    if not name and words:
        return f"no command {' '.join(words[:2])}"
    known |= options_of(commands[name]) if name else set()
    return ", ".join(sorted(word for word in call if word.startswith("--") and word not in known))


def calls(page: Path) -> Iterator[list[str]]:
    """The words after ``qbo-sync`` (or its short form ``qbo`` on these pages), without the options that every command has."""
    for piece in code_of(page):
        if re.match(r"qbo(-sync)? [a-z-]", piece) and "[" not in piece:
            words = shlex.split(piece, comments=True)[1:]
            if words[:1] == ["--config"]:
                words = words[2:]
            if words[:1] == ["--format"]:
                words = words[2:]
            yield [word for word in words if word not in ("FILE", "RUN")]


@pytest.mark.parametrize("page", OURS, ids=title)
def test_commands_on_a_page_exist_with_their_options(page: Path) -> None:
    wrong = {" ".join(call): found for call in calls(page) if (found := problem_with(call))}
    assert wrong == {}


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert problem_with(["profile", "guess"]) == "no command profile guess"
    assert problem_with(["audit", "--until"]) == "--until"
    assert problem_with(["export", "enable"]) == ""
    assert sum(1 for page in OURS for _ in calls(page)) > 30


@pytest.mark.parametrize("page", OURS, ids=title)
def test_playbooks_and_variables_on_a_page_exist(page: Path) -> None:
    options = {role: set(documents.specification(role)["options"]) for role in documents.ROLES}
    variables = {name for names in options.values() for name in names} | {f"{role}_result" for role in options}
    prefixed = re.compile(rf"\b(?:{'|'.join(options)})_[a-z_]+\b")
    tables = {table.name for table in journal.tables("sqlite").metadata.tables.values()}
    missing = []
    for piece in code_of(page):
        missing += [name for name in re.findall(r"playbooks/([a-z_-]+\.yml)", piece) if not (TOP / "playbooks" / name).is_file()]
        if "." not in piece.partition(":")[0] and piece not in tables:
            missing += [name for name in prefixed.findall(piece) if name not in variables]
    assert missing == []


def said(page: Path) -> Iterator[str]:
    """The messages in the first column of a page's tables of what can go wrong."""
    for table in page.read_text(encoding="utf-8").split("| it says | next step |\n")[1:]:
        for line in table.partition("\n\n")[0].splitlines():
            yield from SPAN.findall(line.split(" | ")[0])


@pytest.fixture(scope="module")
def sources() -> str:
    """Every text that the program can say, strings joined over lines and white space evened out."""
    files = [
        f
        for folder in ("qbo_sync", "roles", "templates", "playbooks")
        for f in (TOP / folder).rglob("*")
        if f.suffix in (".py", ".yml", ".j2")
    ]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return " ".join(re.sub(r'"\s+f?"', "", text).split())


STEPS = [page for page in OURS if "| it says |" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", STEPS, ids=title)
def test_messages_on_a_page_are_the_program_s_own(page: Path, sources: str) -> None:
    parts = [part.strip(" :'") for message in said(page) for part in message.split("…")]
    assert len([part for part in parts if len(part) > 8]) > 4
    assert [part for part in parts if part not in sources] == []


def test_the_index_names_every_page() -> None:
    for folder in (TOP / "docs", TOP / "docs/decisions"):
        index = (folder / "README.md").read_text(encoding="utf-8")
        pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
        assert pages <= {found["target"].partition("#")[0] for found in LINK.finditer(index)}


# --- the settings file ---------------------------------------------------------------------------------------------


def example() -> str:
    found = re.search(r"(?s)```toml\n(.*?)```", (TOP / "docs/commands.md").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def every_line(text: str) -> str:
    """The example with the settings that it shows as comments."""
    return re.sub(r"(?m)^# (?=\w+ = )", "", text)


@pytest.mark.parametrize("text", [example(), every_line(example())], ids=["as printed", "with every setting"])
def test_the_settings_example_is_accepted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "maple.toml"
    path.write_text(text, encoding="utf-8")
    settings = config.load(path)
    assert settings.site == "maple"
    assert settings.intuit.client_secret_file == tmp_path / "maple.d/client-secret"


def test_the_settings_example_is_complete_and_its_comments_are_the_defaults() -> None:
    text = every_line(example())
    sections: dict[str, type[BaseModel]] = {
        "intuit": config.Intuit,
        "miracle": config.Miracle,
        "store": config.Store,
        "web": config.Web,
        "import": config.Import,
    }
    for section, model in sections.items():
        part = text.partition(f"[{section}]\n")[2].partition("\n[")[0]
        assert set(re.findall(r"(?m)^(\w+) = ", part)) == set(model.model_fields), section
    for shown, default in {
        "requests_per_second = 8.2": config.Intuit.model_fields["requests_per_second"].default,
        "requests_per_minute = 480": config.Intuit.model_fields["requests_per_minute"].default,
        "timeout_s = 120.0": config.Intuit.model_fields["timeout_s"].default,
        "port = 8021": config.Web.model_fields["port"].default,
        "chunk_rows = 4000": config.Import.model_fields["chunk_rows"].default,
    }.items():
        assert shown in text
        assert shown.partition(" = ")[2] == str(default)


def test_every_check_has_a_test_that_builds_its_fault() -> None:
    """The table of docs/checks.md names tests that are there, one at least for each check of the catalogue."""
    assert set(checks.TESTS) == set(CATALOGUE)
    for _, _, path, tests in checks.TESTS.values():
        text = (TOP / path).read_text(encoding="utf-8")
        assert [name for name in tests if f"def {name}(" not in text] == []
