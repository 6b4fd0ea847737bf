"""What the generator makes, kind by kind. Every row is a pure function of the seed and its number."""
