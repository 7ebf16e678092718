"""Expression-conditioned radiance fields: the one rendering core of every NeRF method."""
