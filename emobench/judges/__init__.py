"""Small networks trained on a dataset's own train split, for what no pretrained network at hand can judge."""

from .judge_set import JudgeSet

__all__ = ["JudgeSet"]
