"""Named, versioned measurement protocols as data: what the files say, and how clips are shown to metrics by them."""
