"""Faces: landmark conventions, tracking, parsing, and the files that hold them. Knows no dataset and no method."""
