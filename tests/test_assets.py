from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain import assets
from spicetrain.errors import ConfigurationError


def test_a_checkout_uses_its_own_folders() -> None:
    root = Path(__file__).resolve().parents[1]
    assert assets.netlists_folder() == root / "netlists"
    assert assets.data_folder() == root / "data"
    assert assets.dataset_sources() == root / "data" / "SOURCES.toml"
    assert assets.presets_folder() == root / "spicetrain" / "presets"


def test_an_installed_wheel_uses_the_copies_it_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "spicetrain"
    for name in ("netlists", "characterization", "data"):
        (package / "_assets" / name).mkdir(parents=True)
    # A neighbour of that name in site-packages is somebody else's.
    (tmp_path / "site-packages" / "data").mkdir()
    monkeypatch.setattr(assets, "_PACKAGE", package)
    assert assets.netlists_folder() == package / "_assets" / "netlists"
    assert assets.characterization_folder() == package / "_assets" / "characterization"
    assert assets.dataset_sources() == package / "_assets" / "data" / "SOURCES.toml"
    assert assets.data_folder() is None


def test_an_incomplete_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "spicetrain")
    with pytest.raises(ConfigurationError, match="'netlists' is not at .*install it again"):
        assets.netlists_folder()
