"""The switch itself: the only package that knows both QuickBooks Online and Miracle Service."""
