"""The embedded procedural dataset: 3D heads that speak with emotion, with exact ground truth."""
