"""The settings of one site: one TOML file, read and checked once.

Each value can also be set in the environment (``QBO_SYNC__INTUIT__API_URL``), which wins over the file. Secrets are never values
of their own: a setting names the file that holds one (``client_secret_file``). A relative file name is relative to the TOML file.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from qbo_sync.errors import UsageError

INTUIT_HOSTS = ("intuit.com",)

# Intuit's published addresses (facts/qbo_api.md 1.1 and 2.1; only the data and userinfo hosts differ).
ENVIRONMENTS = {
    "production": (
        "https://developer.api.intuit.com/.well-known/openid_configuration",
        "https://quickbooks.api.intuit.com",
    ),
    "sandbox": (
        "https://developer.api.intuit.com/.well-known/openid_sandbox_configuration",
        "https://sandbox-quickbooks.api.intuit.com",
    ),
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Intuit(_Section):
    """The Intuit app and where its services are. ``api_url`` ends before ``/v3``."""

    environment: Literal["production", "sandbox", "custom"] = "production"
    discovery_url: str = ""
    api_url: str = ""
    client_id: str
    client_secret_file: Path
    redirect_uri: str
    ca_file: Path | None = None
    app: Literal["vendor", "msp", "site"] = "vendor"
    # Below Intuit's 10 requests/s and 500/min for a realm (facts/qbo_api.md 2.7), so that a 429 is never provoked.
    requests_per_second: float = Field(default=8.2, gt=0, lt=10)
    requests_per_minute: int = Field(default=480, gt=0, lt=500)
    timeout_s: float = Field(default=120.0, gt=0)
    # Intuit's Builder tier (facts/qbo_api.md 2.11): billed reads of the app's whole workspace in a calendar month.
    monthly_reads: int = Field(default=500_000, gt=0)

    @model_validator(mode="after")
    def _fill_and_check_addresses(self) -> Intuit:
        if self.environment != "custom":
            discovery, api = ENVIRONMENTS[self.environment]
            object.__setattr__(self, "discovery_url", self.discovery_url or discovery)
            object.__setattr__(self, "api_url", self.api_url or api)
        for name in ("discovery_url", "api_url"):
            url = getattr(self, name)
            if not url:
                raise ValueError(f"{name} is missing; environment 'custom' needs every address")
            check_service_address(name, url, self.environment)
        object.__setattr__(self, "api_url", self.api_url.rstrip("/").removesuffix("/v3"))
        check_redirect_uri(self.redirect_uri)
        return self


def check_service_address(name: str, url: str, environment: str) -> None:
    """Raise ``ValueError`` unless ``url`` may be spoken to in this environment.

    Production and sandbox accept Intuit's own hosts only; custom accepts https, and http on loopback only.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{name} is not an http(s) address: {url}")
    if parts.username or parts.password:
        raise ValueError(f"{name} carries a user name or password; leave it out")
    if environment != "custom":
        intuit = any(host == h or host.endswith("." + h) for h in INTUIT_HOSTS)
        if parts.scheme != "https" or not intuit:
            raise ValueError(f"{name} is not one of Intuit's own hosts: {url}; use environment = 'custom' for any other")
    elif parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{name} must be https unless it is on this machine: {url}")


def check_redirect_uri(uri: str) -> None:
    """Raise ``ValueError`` unless Intuit would take ``uri``: https (http on this machine), no query, no fragment."""
    parts = urlsplit(uri)
    if parts.query or parts.fragment:
        raise ValueError(f"redirect_uri must have no query and no fragment: {uri}")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return
    raise ValueError(f"redirect_uri must be https://<host>/qbo/callback: {uri}")


class Miracle(_Section):
    """The Miracle Service database. ``database_url`` is SQLAlchemy's form without a password; that is in ``password_file``."""

    database_url: str
    password_file: Path | None = None
    profile: str = "reference"
    # Waiting for somebody else's lock ends after so long, so that nobody's forgotten transaction hangs a run.
    lock_wait_s: int = Field(default=30, ge=1, le=3600)

    @field_validator("database_url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if urlsplit(url).password:
            raise ValueError("database_url carries a password; name a file with password_file instead")
        return url


class Store(_Section):
    """Where the site's state lives: tokens, plans, findings, reports. Made 0700 when missing.

    Of the reports of each command the newest ``reports_kept`` stay, of the plans the newest ``plans_kept``; besides them whatever
    an unfinished import or a way back needs.
    """

    directory: Path
    key_file: Path | None = None
    # The key comes as a systemd credential only, and is never made here.
    sealed_key: bool = False
    reports_kept: int = Field(default=50, ge=1)
    plans_kept: int = Field(default=5, ge=1)

    @property
    def key(self) -> Path:
        """The file with the 32-byte key that encrypts the tokens; ``<directory>/store.key`` unless set."""
        return self.key_file or self.directory / "store.key"


class Web(_Section):
    """The pages behind the reverse proxy. ``public_url`` is what people type: ``https://qbo.company.com``.

    With ``verifier_token_file``, which holds the Intuit app's verifier token, webhooks are taken at ``/qbo/webhooks``.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8021, ge=1, le=65535)
    public_url: str = ""
    verifier_token_file: Path | None = None


class Import(_Section):
    """What counts as an inventory item, and how many rows one transaction writes."""

    item_types: tuple[Literal["Inventory", "NonInventory", "Service"], ...] = ("Inventory",)
    chunk_rows: int = Field(default=4000, ge=1, le=100_000)


class Limits(_Section):
    """A run that would mark as removed, discard or add more than so many rows, and that share of what is there, is refused."""

    percent: int = Field(default=30, ge=0, le=100)
    from_rows: int = Field(default=10, ge=0)


class Edge(_Section):
    """The way to the secure address, for ``doctor`` on the edge host; the role qbo_sync writes it from the site's names.

    ``ttl`` is the record's, in seconds. ``acme_directory`` is the CA that issues the certificate, ``acme_ca_file`` what its own
    web server is trusted by.
    """

    fqdn: str
    zone: str
    address: str
    lan_address: str
    ttl: int = 3600
    resolver: str = ""
    nameservers: tuple[str, ...] = ()
    acme_directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_ca_file: Path | None = None


class Settings(BaseSettings):
    """All settings of one site."""

    model_config = SettingsConfigDict(
        env_prefix="QBO_SYNC__", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    site: str
    intuit: Intuit
    miracle: Miracle
    store: Store
    web: Web = Web()
    edge: Edge | None = None
    imports: Import = Field(default=Import(), alias="import")
    limits: Limits = Limits()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file's values, which arrive as constructor arguments."""
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Read and check the settings file.

    Raises :class:`~qbo_sync.errors.UsageError` naming each wrong setting; nothing else has been touched by then.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"the settings file cannot be read: {path}",
            seen=error.strerror or str(error),
            next="name an existing file with --config; docs/commands.md has a complete example",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings file is not valid TOML: {path}", seen=str(error), next="mend that line") from error
    values.setdefault("site", path.stem)
    _anchor_paths(values, path.parent)
    try:
        return Settings(**values)
    except ValidationError as error:
        wrong = "; ".join(f"[{'.'.join(str(p) for p in e['loc'])}] {e['msg']}" for e in error.errors())
        raise UsageError(
            f"the settings in {path} are not complete or not right", seen=wrong, next="mend the settings named above"
        ) from error


def _anchor_paths(values: dict[str, Any], base: Path) -> None:
    for section, names in {
        "intuit": ("client_secret_file", "ca_file"),
        "miracle": ("password_file",),
        "store": ("directory", "key_file"),
        "web": ("verifier_token_file",),
        "edge": ("acme_ca_file",),
    }.items():
        table = values.get(section)
        if isinstance(table, dict):
            for name in names:
                if isinstance(table.get(name), str):
                    table[name] = str(base / table[name])
    miracle = values.get("miracle")
    if isinstance(miracle, dict):
        url, profile = miracle.get("database_url"), miracle.get("profile")
        if isinstance(url, str) and url.startswith("sqlite:///"):
            miracle["database_url"] = f"sqlite:///{base / url.removeprefix('sqlite:///')}"
        if isinstance(profile, str) and profile.endswith((".yml", ".yaml")):
            miracle["profile"] = str(base / profile)


def read_secret(path: Path, what: str) -> str:
    """The secret in a file, without the line end.

    A systemd credential of the same file name (``$CREDENTIALS_DIRECTORY``) wins. Raises :class:`UsageError` when the file is
    missing, empty, or readable by everybody.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / path.name).is_file():
        path = Path(credentials) / path.name
    try:
        mode = path.stat().st_mode
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the {what} cannot be read from {path}", seen=str(error), next=f"put the {what} into that file, mode 0600"
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise UsageError(f"{path} holds the {what} and everybody may read it", seen=oct(mode & 0o777), next=f"chmod 600 {path}")
    if not secret:
        raise UsageError(f"{path} is empty", next=f"put the {what} into that file")
    return secret
