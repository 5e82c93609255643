"""Files read as if a stranger had written them."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from disentone.report import contents
from disentone.run import reading


def test_a_good_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.json").write_text('{"x": 1}')
    assert reading.mapping(tmp_path, "a/b.json") == {"x": 1}
    soundfile.write(tmp_path / "s.wav", np.full(10, 0.5), 8000, "PCM_16")
    samples, rate = contents.sound(tmp_path, "s.wav")
    assert rate == 8000
    np.testing.assert_allclose(samples, 0.5, atol=1e-4)
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    assert contents.picture(tmp_path, "p.png").getpixel((0, 0)) == (255, 0, 0)
    assert reading.text(tmp_path, "a/b.json").startswith("{")


@pytest.mark.parametrize("name", ["", ".", "..", "/etc/passwd", "a/../../b", "a"])
def test_only_names_of_files_inside_are_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError):
        reading.content(tmp_path, name)
