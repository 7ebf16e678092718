"""EmoHead (ICME 2025, arXiv 2503.19416): audio to expression, hyperplane refinement, radiance rendering."""
