"""The CQT beside nnAudio's and librosa's: python -m benchmarks.frontend.

Clips of one second at 16 kHz, 80 bins, a frame every 256 samples, on one thread. The images of 500 rows, silence
and the fastest decay among them, are compared with CQT1992v2's, which defines ours.
"""

from statistics import median

import librosa
import nnAudio
import numpy as np
import torch
from benchmarks.cases import tones
from benchmarks.measure import in_turns, ratio, report, threads
from nnAudio.features.cqt import CQT1992v2, CQT2010v2
from tests.reference.cqt import nnaudio_image

from disentone.frontends import CQT

CLIPS, CLIPS_OF_LIBROSA, ROWS = 128, 8, 500
SETTINGS = {"sr": 16_000, "hop_length": 256, "fmin": 65.406, "n_bins": 80, "bins_per_octave": 12}
QUIET = {"pad_mode": "constant", "output_format": "Magnitude", "verbose": False}


def images_by_librosa(audio: np.ndarray) -> np.ndarray:
    magnitudes = [np.abs(librosa.cqt(clip, **SETTINGS, pad_mode="constant")) for clip in audio]
    return np.clip(1 + librosa.amplitude_to_db(np.stack(magnitudes), ref=1, top_db=None) / 80, 0, 1)


def main() -> None:
    audio = tones(CLIPS)
    few = audio[:CLIPS_OF_LIBROSA].numpy()
    cqt, dense = CQT(), CQT1992v2(**SETTINGS, **QUIET)
    octaves = CQT2010v2(**SETTINGS, **QUIET, earlydownsample=False)
    versions = {
        "disentone": lambda: cqt(audio),
        "nnAudio CQT1992v2": lambda: nnaudio_image(dense, audio),
        "nnAudio CQT2010v2": lambda: nnaudio_image(octaves, audio),
        "librosa.cqt, in a loop": lambda: images_by_librosa(few),
    }
    with threads(1), torch.no_grad():
        seconds = in_turns(versions)
        compared = torch.cat([tones(ROWS - 1), torch.zeros(1, audio.shape[1])])
        difference = (cqt(compared) - nnaudio_image(dense, compared)).abs()
    clips = {name: CLIPS_OF_LIBROSA if "librosa" in name else CLIPS for name in versions}
    per_clip = {name: [second / clips[name] for second in seconds[name]] for name in versions}
    rows = {
        name: [1 / median(spent), ratio(spent, per_clip["disentone"]), None, None] for name, spent in per_clip.items()
    }
    rows["disentone"][2:] = [float(difference.max()), float(difference.mean())]
    columns = ("clips/s", "times as long as ours", "largest image difference to CQT1992v2", "mean")
    report("frontend", "CQT of one-second clips, one thread", columns, rows, librosa, nnAudio)


if __name__ == "__main__":
    main()
