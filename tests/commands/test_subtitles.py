"""Subtitles: their form."""

from __future__ import annotations

from experiments.commands.subtitles import subtitles


def test_a_cue_ends_behind_its_beginning() -> None:
    """A recording of a few samples has a segment from 0 to 0, which is no cue of WebVTT."""
    segments = [{"start": 0.0, "end": 0.0, "text": "a --> b"}, {"start": 3661.5, "end": 3662.25, "text": "c"}]
    assert subtitles(segments, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.001\na → b\n\n01:01:01.500 --> 01:01:02.250\nc\n"
    )
    assert subtitles(segments[:1], "srt") == "1\n00:00:00,000 --> 00:00:00,001\na → b\n"
