"""qbo_sync: connects a Miracle Service site to QuickBooks Online, audits both sides and imports what is new."""

__version__ = "0.1.0"
