"""The Miracle Service side: the site's profile, its real tables, and our own journal. Knows nothing of Intuit."""

from typing import TYPE_CHECKING

from qbo_sync import lazily

if TYPE_CHECKING:
    from qbo_sync.miracle.database import Miracle, Run
    from qbo_sync.miracle.profile import Profile, load
else:
    __getattr__ = lazily.names(
        __name__,
        database="Miracle Run",
        profile="Profile load",
    )

__all__ = ["Miracle", "Profile", "Run", "load"]
