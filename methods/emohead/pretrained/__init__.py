"""Pretrained encoders: speech, emotion, text and speech recognition networks of others, from the local cache only."""
