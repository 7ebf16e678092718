"""emobench: benchmark and evaluation suite for emotional talking-head synthesis."""

__version__ = "0.1.0"
