"""Built-in methods and references; registered in pyproject.toml through light specs."""
