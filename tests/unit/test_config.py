"""The settings file: what is accepted, what is refused and how the refusal reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from qbo_sync import config
from qbo_sync.errors import UsageError

GOOD = """
site = "acme"
[intuit]
environment = "{environment}"
{addresses}
client_id = "app"
client_secret_file = "secret"
redirect_uri = "{redirect}"
[miracle]
database_url = "sqlite:///miracle.db"
[store]
directory = "store"
"""


def write(
    tmp_path: Path, environment: str = "production", addresses: str = "", redirect: str = "https://qbo.acme.example/qbo/callback"
) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(GOOD.format(environment=environment, addresses=addresses, redirect=redirect))
    return path


def test_production_knows_intuits_addresses(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path))
    assert settings.intuit.api_url == "https://quickbooks.api.intuit.com"
    assert settings.intuit.client_secret_file == tmp_path / "secret"


@pytest.mark.parametrize(
    ("environment", "addresses", "cause"),
    [
        ("production", 'api_url = "https://intuit.com.evil.example"', "not one of Intuit's own hosts"),
        ("sandbox", 'discovery_url = "http://developer.api.intuit.com/x"', "not one of Intuit's own hosts"),
        (
            "custom",
            'api_url = "http://10.0.0.1"\ndiscovery_url = "https://a.example"',
            "must be https unless it is on this machine",
        ),
        ("custom", "", "is missing"),
        ("custom", 'api_url = "https://u:p@a.example"\ndiscovery_url = "https://a.example"', "carries a user name"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, environment: str, addresses: str, cause: str) -> None:
    with pytest.raises(UsageError) as refused:
        config.load(write(tmp_path, environment, addresses))
    assert cause in str(refused.value)
    assert "next:" in str(refused.value)


@pytest.mark.parametrize("redirect", ["http://qbo.acme.example/qbo/callback", "https://qbo.acme.example/qbo/callback?a=1", "qbo"])
def test_redirect_uris_that_intuit_would_refuse(tmp_path: Path, redirect: str) -> None:
    with pytest.raises(UsageError, match="redirect_uri"):
        config.load(write(tmp_path, redirect=redirect))


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBO_SYNC__INTUIT__CLIENT_ID", "other")
    assert config.load(write(tmp_path)).intuit.client_id == "other"


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + 'directroy = "x"\n')
    with pytest.raises(UsageError, match=r"store\.directroy"):
        config.load(path)


def test_a_password_in_the_database_address_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace("sqlite:///miracle.db", "postgresql://u:hunter2@h/d"))
    with pytest.raises(UsageError) as refused:
        config.load(path)
    assert "password_file" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_world_readable_secret_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        config.read_secret(secret, "client secret")
    secret.chmod(0o600)
    assert config.read_secret(secret, "client secret") == "s3cret"
