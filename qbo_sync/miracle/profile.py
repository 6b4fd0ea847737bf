"""The profile: which of a site's real tables and columns hold what. A YAML file, checked before anything is read."""

from __future__ import annotations

from decimal import Decimal
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qbo_sync.errors import UsageError

KINDS = ("customer_type", "payment_term", "payment_method", "group_type", "supplier", "inventory_item", "customer")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindMap(_Part):
    """One record kind: its table, its id column, our fields → its columns, and who points at its rows.

    ``defaults``: what an import writes into a column of the site's own, or into one of ours that QuickBooks leaves empty.
    """

    table: str
    id: str = "id"
    columns: dict[str, str]
    defaults: dict[str, str | int | bool | Decimal] = {}
    references: dict[str, str] = {}
    referred_by: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _has_name(self) -> KindMap:
        if "name" not in self.columns:
            raise ValueError("columns needs 'name': without it nothing can be matched")
        unknown = [f"{field} → {kind}" for field, kind in self.references.items() if kind not in (*KINDS, "tax_code")]
        if unknown:
            raise ValueError(f"references to unknown kinds: {', '.join(unknown)}")
        if self.id in self.defaults:
            raise ValueError(f"defaults names the id column '{self.id}': each row needs its own")
        missing = sorted(set(self.references) - set(self.columns))
        if missing:
            raise ValueError(f"references without a column: {', '.join(missing)}")
        return self


class TaxCodeMap(_Part):
    """The table of tax codes."""

    table: str
    id: str = "id"
    columns: dict[str, str]


class TaxComponentMap(_Part):
    """The table of a tax code's rates, in order."""

    table: str
    code_id: str
    position: str
    columns: dict[str, str]


class Taxes(_Part):
    """Where the taxes are; ``purchase`` where a code's rates on purchases stand apart from those on sales."""

    code: TaxCodeMap
    component: TaxComponentMap
    purchase: TaxComponentMap | None = None


class SettingsTable(_Part):
    """A table of settings, one row each."""

    table: str
    name: str
    value: str


class TaxMethod(_Part):
    """The setting that tells how taxes are computed, and its value for 'by line item' (which QuickBooks needs)."""

    setting: str
    line_item: str


class NamedSetting(_Part):
    """One setting by name."""

    setting: str


class ExportFormat(_Part):
    """The setting that names the program exported for, and its value for QuickBooks Online."""

    setting: str
    quickbooks_online: str


class ExportSwitch(_Part):
    """The switch of Miracle Service's accounting export."""

    setting: str
    enabled: str
    disabled: str


class Profile(_Part):
    """A whole profile. ``lengths``: kind → field → longest text, where the database itself does not say (a view, SQLite)."""

    profile: str
    kinds: dict[str, KindMap]
    taxes: Taxes | None = None
    settings: SettingsTable | None = None
    tax_method: TaxMethod | None = None
    currency: NamedSetting | None = None
    export_format: ExportFormat | None = None
    export_switch: ExportSwitch | None = None
    lengths: dict[str, dict[str, int]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Profile:
        missing = [kind for kind in KINDS if kind not in self.kinds]
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if missing or unknown:
            raise ValueError(f"kinds missing: {', '.join(missing) or 'none'}; kinds unknown: {', '.join(unknown) or 'none'}")
        needs_settings = [n for n in ("tax_method", "currency", "export_format", "export_switch") if getattr(self, n) is not None]
        if needs_settings and self.settings is None:
            raise ValueError(f"{', '.join(needs_settings)} need the settings table")
        return self


def load(name: str) -> Profile:
    """The profile of that name (``reference`` is built in) or in that YAML file.

    Raises :class:`~qbo_sync.errors.UsageError` naming each wrong entry.
    """
    try:
        text = _text(name)
        return Profile.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise UsageError(
            f"there is no profile '{name}'", seen=str(error), next="use 'reference' or name a YAML file in [miracle] profile"
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"the profile '{name}' is not valid YAML", seen=str(error), next="mend that line") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(str(p) for p in e['loc']) or 'profile'}: {e['msg']}" for e in error.errors())
        raise UsageError(f"the profile '{name}' is not right", seen=wrong, next="mend the entries named above") from error


def _text(name: str) -> str:
    built_in = resources.files("qbo_sync") / "profiles" / f"{name}.yml"
    if "/" not in name and "\\" not in name and built_in.is_file():
        return built_in.read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")
