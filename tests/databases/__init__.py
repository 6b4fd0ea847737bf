"""Real database servers for tests and benches, and what is tested on all of them."""
