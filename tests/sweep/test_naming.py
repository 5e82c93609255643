"""The words that start a run folder's config anew, for resumed runs and for the processes of several devices."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from disentone.sweep.naming import of_run_folder


@pytest.mark.parametrize("name", ["a run", "o'q, [x]", 'a "b"=c', "ü"])
def test_a_run_folder_of_any_name_is_named_to_hydra(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    words = of_run_folder(folder)
    assert words[words.index("--config-dir") + 1] == str(folder)
    (override,) = OverridesParser.create().parse_overrides(
        [word for word in words if word.startswith("hydra.run.dir=")]
    )
    assert override.value() == str(folder)
