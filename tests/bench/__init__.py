"""Measurements anybody can run: `./kit bench NAME`. Every figure in the README and the docs comes from here."""
