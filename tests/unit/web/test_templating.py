"""How templates are found and rendered."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from qbo_sync import templating


def test_every_page_template_compiles() -> None:
    environment = templating.environment("web")
    names = environment.list_templates()
    assert names
    for name in names:
        environment.get_template(name)


def test_only_html_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "templates" / "mail").mkdir(parents=True)
    for name in ("a.html.j2", "a.txt.j2", "a.conf.j2"):
        (tmp_path / "templates" / "mail" / name).write_text("{{ name }}\n")
    monkeypatch.setattr(templating, "_PACKAGE", tmp_path)
    environment = templating.environment("mail")
    assert environment.get_template("a.html.j2").render(name="<&>") == "&lt;&amp;&gt;\n"
    assert environment.get_template("a.txt.j2").render(name="<&>") == "<&>\n"
    assert environment.get_template("a.conf.j2").render(name="<&>") == "<&>\n"


def test_a_name_nobody_gave_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        templating.environment("web").get_template("problem.html.j2").render(nonce="", site="", title="", text="")


def test_an_installed_copy_wins_over_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "qbo_sync"
    (package / "templates" / "web").mkdir(parents=True)
    (tmp_path / "templates" / "web").mkdir(parents=True)
    monkeypatch.setattr(templating, "_PACKAGE", package)
    assert templating.folder("web") == package / "templates" / "web"
    (package / "templates" / "web").rmdir()
    assert templating.folder("web") == tmp_path / "templates" / "web"
    with pytest.raises(FileNotFoundError, match="mail"):
        templating.folder("mail")
