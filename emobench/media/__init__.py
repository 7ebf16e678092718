"""Video, audio and still images in and out of files through PyAV. Knows nothing of faces, clips or datasets."""

from emobench.media.audio import read_audio, write_audio
from emobench.media.image import write_png
from emobench.media.reading import DecodedVideo, MediaInfo, iterate_video, probe, read_video
from emobench.media.writing import write_lossless, write_preview

__all__ = [
    "DecodedVideo",
    "MediaInfo",
    "iterate_video",
    "probe",
    "read_audio",
    "read_video",
    "write_audio",
    "write_lossless",
    "write_png",
    "write_preview",
]
