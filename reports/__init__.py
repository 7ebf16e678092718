"""Built-in reports; registered in pyproject.toml through light specs."""
