"""Fetching image files from the public mirrors into the cache, each checked before it gets its name."""

from __future__ import annotations

import http.client
import urllib.request
from pathlib import Path

from spicetrain.datasets.idx import checked
from spicetrain.datasets.sources import ImageFile, ImageSource
from spicetrain.errors import DatasetError
from spicetrain.progress import track
from spicetrain.storage import write_atomic

_TIMEOUT_S = 30.0


def download(source: ImageSource, folder: Path, looked_in: list[Path]) -> None:
    """Fetch what `folder` lacks; DatasetError naming every mirror's answer, StorageError when it is full."""
    absent = source.missing_in(folder)
    with track(f"download {source.name}", len(absent), "files") as bar:
        for file in absent:
            packed = _fetch(source, file, looked_in)
            with write_atomic(folder / file.name) as temporary:
                temporary.write_bytes(packed)
            bar.advance()


def _fetch(source: ImageSource, file: ImageFile, looked_in: list[Path]) -> bytes:
    """The gzip bytes from the first mirror that answers with the published content."""
    failures = []
    for mirror in source.mirrors:
        url = f"{mirror}/{file.name}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
                packed: bytes = response.read()
            checked(packed, file, url)
            return packed
        except DatasetError as error:
            failures.append(str(error))
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
    raise DatasetError(_nobody_has_it(source, file, looked_in, failures))


def _nobody_has_it(source: ImageSource, file: ImageFile, looked_in: list[Path], failures: list[str]) -> str:
    return "\n".join(
        [
            f"{source.name}: {file.name} is not in {' or '.join(map(str, looked_in))},",
            "and no mirror gave it:",
            *(f"  {failure}" for failure in failures),
            "Likely this machine is offline, or behind a proxy (then set HTTPS_PROXY). Or bring the files:",
            "put " + ", ".join(f.name for f in source.files.values()),
            f"into FOLDER/{source.name} and set SPICETRAIN_DATA=FOLDER.",
        ]
    )
