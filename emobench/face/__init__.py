"""Faces: landmarks, expression and pose trackers, crops, parsing, and the file formats of their results."""
