"""The gzipped IDX format of MNIST, read with every check that tells a damaged file from a good one.

IDX: two zero bytes, the type (8 = unsigned byte), the rank, each dimension as big-endian uint32, the data.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets.sources import ImageFile
from spicetrain.errors import DatasetError

_REPLACE = "Likely a damaged or altered copy: replace it, or remove it to have it fetched again."


def read_idx(path: Path, file: ImageFile) -> NDArray[np.uint8]:
    """Images [n, rows, columns] or labels [n] of one file; DatasetError when it is not the published one."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"Cannot read {path}: {error.strerror}.") from error
    return checked(packed, file, str(path))


def checked(packed: bytes, file: ImageFile, origin: str) -> NDArray[np.uint8]:
    """The array in `packed`; DatasetError unless its gzip, header, size and checksum agree with `file`."""
    content = _decompress(packed, origin)
    array = _parse(content, origin)
    if len(array) != file.count:
        raise DatasetError(f"{origin} holds {len(array)} items, the published one {file.count}. {_REPLACE}")
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DatasetError(
            f"{origin} is not the published {file.name}: wrong checksum. Its decompressed content has sha256 "
            f"{found}, expected {file.sha256}. {_REPLACE}"
        )
    return array


def _decompress(packed: bytes, origin: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except EOFError as error:
        raise DatasetError(
            f"{origin} is truncated: its gzip stream breaks off after {len(packed)} bytes. {_REPLACE}"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{origin} is not a whole gzip file ({error}). {_REPLACE}") from error


def _parse(content: bytes, origin: str) -> NDArray[np.uint8]:
    if content[:3] != b"\0\0\x08" or content[3:4] not in (b"\1", b"\3"):
        raise DatasetError(
            f"{origin} is not IDX: it begins with {content[:4].hex() or 'nothing'}, expected 00000801 "
            f"(labels) or 00000803 (images). {_REPLACE}"
        )
    header = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    announced = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != announced:
        raise DatasetError(
            f"{origin} holds {len(content)} bytes of IDX, but its header announces {announced} "
            f"(shape {' x '.join(map(str, shape))}). {_REPLACE}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
