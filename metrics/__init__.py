"""Built-in metrics; registered in pyproject.toml through light specs."""
