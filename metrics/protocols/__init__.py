"""Named, versioned measurement protocols as data."""
