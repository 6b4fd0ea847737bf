"""The Miracle Service side: the site's profile, its real tables, and our own journal. Knows nothing of Intuit."""

from qbo_sync.miracle.database import Miracle, Run
from qbo_sync.miracle.profile import Profile, load

__all__ = ["Miracle", "Profile", "Run", "load"]
