"""The files that ngspice reads for a model library: itself, what it includes, and so on.

How ngspice finds them (39, tried; a file in its working folder would come first, and ours holds none):

    .include file        any word that begins with .inc; read at once, in whatever section it stands; relative to the
                         folder of the file with the line
    .lib file section    read only where it is used; relative to the folder of the file that the section is in. In a
                         library that was included as a whole, relative to ngspice's working folder: not to be found
    .lib section         the begin of a section, .endl is its end

Three things are refused: a file that includes itself (ngspice crashes without a word), a section that calls itself (it
never ends), and commands, which ngspice carries out, those of the shell too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, takewhile
from os import fsdecode
from pathlib import Path

from spicetrain.errors import TechnologyError, nearest
from spicetrain.storage import sha256_of_file

# A line and those that continue it, comments in between.
_CARD = re.compile(
    rb"^[ \t]*(\.(?:inc|lib|endl)[^\n]*(?:(?:\n[ \t]*\*[^\n]*)*\n[ \t]*\+[^\n]*)*)", re.IGNORECASE | re.MULTILINE
)
# ngspice takes "*# word" for a command too; "*####" is a comment.
_COMMANDS = re.compile(rb"^[ \t]*(\.control\b|\*#[ \t]*[a-z])[^\n]*", re.IGNORECASE | re.MULTILINE)
_RUNS = re.compile(rb"^[^\n*]*\bd_(?:process|cosim)\b[^\n]*", re.IGNORECASE | re.MULTILINE)
_DEFINED = re.compile(
    rb"^[ \t]*\.(subckt|model)[ \t]+(\S+)([^\n]*(?:(?:\n[ \t]*\*[^\n]*)*\n[ \t]*\+[^\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r";.*|//.*|(?<=[ \t,])\$.*")
_INCLUDED = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")


@dataclass(frozen=True)
class ModelFiles:
    """What decks read: libraries and a section of each (None: the whole), compiled models, which include nothing, and
    the checksums of all of it, as they were when it was looked at."""

    libraries: tuple[tuple[Path, str | None], ...]
    compiled: tuple[Path, ...]
    checksums: tuple[str, ...]

    @classmethod
    def read(cls, libraries: Iterable[tuple[Path, str | None]], compiled: Iterable[Path] = ()) -> ModelFiles:
        """As they are now. Raises as `checksums`."""
        libraries, compiled = tuple(libraries), tuple(compiled)
        included = (checksums(library, section) for library, section in libraries)
        return cls(libraries, compiled, (*map(sha256_of_file, compiled), *chain.from_iterable(included)))

    def below(self, root: Path) -> ModelFiles:
        """The same of copies below another root, as they are now. Raises as `read`."""
        there = [(root / str(path).lstrip("/"), section) for path, section in self.libraries]
        return ModelFiles.read(there, [root / str(path).lstrip("/") for path in self.compiled])

    @property
    def named(self) -> tuple[Path, ...]:
        """Those that decks name."""
        return (*(library for library, _ in self.libraries), *self.compiled)


def checksums(library: Path, section: str | None) -> tuple[str, ...]:
    """SHA-256 of the content of every file that ngspice reads, in the order in which it meets them; `library` first.

    section   the one that is used; None: the library is included as a whole

    Raises TechnologyError, with file and line: a file is missing or cannot be read, a section is missing, something
    contains itself, or runs commands.
    """
    return tuple(_followed(library, section).checksums.values())


def files(library: Path, section: str | None) -> tuple[Path, ...]:
    """Those files, `library` first; links are followed. Raises as `checksums`."""
    return tuple(_followed(library, section).checksums)


def definitions(library: Path, section: str | None) -> dict[str, tuple[str, ...] | None]:
    """What those files define, by name as it is written there: the ports of a .subckt, None of a .model (of one in bins
    without its number). Sections that are not used count too. Raises as `checksums`."""
    found: dict[str, tuple[str, ...] | None] = {}
    for path in _followed(library, section).checksums:
        for keyword, name, rest in _DEFINED.findall(path.read_bytes()):
            if keyword.lower() == b"model":
                found.setdefault(re.sub(r"\.\d+$", "", fsdecode(name)), None)
            else:
                found[fsdecode(name)] = _ports(fsdecode(rest))
    return found


def _followed(library: Path, section: str | None) -> _Tree:
    tree = _Tree()
    if section is not None:
        tree.follow_section(library, section)
    else:
        tree.follow_whole(library)
    return tree


def _ports(line: str) -> tuple[str, ...]:
    """The nodes of a .subckt's line: the words before its parameters."""
    parts = [_COMMENT.sub("", part) for part in line.split("\n") if not part.lstrip().startswith("*")]
    words = re.sub(r"\s*=\s*", "=", " ".join(part.lstrip().removeprefix("+") for part in parts)).split()
    return tuple(takewhile(lambda word: "=" not in word and not word.lower().startswith("params:"), words))


@dataclass(frozen=True)
class _Card:
    """A line that begins with .inc, .lib or .endl, without its comments; continued ones are one line."""

    file: Path
    number: int
    line: str

    @property
    def keyword(self) -> str:
        return self.line[1:4].lower()

    @property
    def included(self) -> str:
        """The file an .include names."""
        _, _, rest = self.line.partition(self.line.split()[0])
        found = _INCLUDED.match(rest.lstrip())
        return next(filter(None, found.groups()), "") if found else ""

    @property
    def words(self) -> list[str]:
        """What stands behind a .lib: a section, or a file and its section; quotes are as good as spaces."""
        return re.split(r"[\s\"']+", self.line + " ")[1:-1][:2]

    def error(self, what: str) -> TechnologyError:
        return TechnologyError(f"{self.file}, line {self.number}: {self.line!r}: {what}")

    def named(self, name: str, folder: Path) -> Path:
        """The file that is meant by `name`, read from `folder`."""
        path = folder / (Path(name).expanduser() if name.startswith("~/") else name)
        if not name or not path.is_file():
            raise self.error(
                f"{name!r} is not a file ({path}), and ngspice would read it. Put it there, or correct the line."
            )
        return path


class _Tree:
    def __init__(self) -> None:
        self.checksums: dict[Path, str] = {}
        self._cards: dict[Path, list[_Card]] = {}
        self._resolve = cache(Path.resolve)  # a foundry's library includes the same files from each of its sections

    def follow_whole(self, library: Path) -> None:
        """What is read when `library` is included."""
        for card in self._text(library):
            words = card.words
            if card.keyword == "lib" and len(words) == 1:
                raise card.error("the library has sections: name one of them by transistors.section.")
            if card.keyword == "lib" and words:
                if words[0][0] not in "/~":
                    raise card.error(
                        "ngspice looks for this file in its own working folder, because the library is included as a "
                        "whole. Write the absolute path; or put the line between '.lib all' and '.endl', and set "
                        "transistors.section = 'all'."
                    )
                self.follow_section(card.named(words[0], Path()), words[1], calls=(card,))

    def follow_section(self, library: Path, section: str, calls: tuple[_Card, ...] = ()) -> None:
        """What is read when `section` of `library` is used; `calls` are the lines that led here."""
        home = self._resolve(library)
        for card in self._section(home, section, calls):
            if card.keyword == "lib" and len(card.words) > 1:
                if card in calls:
                    raise card.error("this section calls itself, and ngspice would not end.")
                file, inner = card.words
                self.follow_section(card.named(file, home.parent), inner, (*calls, card))

    def _section(self, library: Path, section: str, calls: tuple[_Card, ...]) -> Iterable[_Card]:
        """The cards between `.lib section` and `.endl`."""
        cards = iter(list(self._text(library)))  # all of it: ngspice includes the files of unused sections too
        known = []
        for card in cards:
            if card.keyword == "lib" and len(card.words) == 1:
                known.append(card.words[0])
                if card.words[0].lower() == section.lower():
                    return takewhile(lambda card: card.keyword != "end", cards)
        text = f"{library} has no section {section!r}.{nearest(section, known)}"
        raise calls[-1].error(text) if calls else TechnologyError(text)

    def _text(self, path: Path, outer: tuple[Path, ...] = ()) -> Iterator[_Card]:
        """The .lib and .endl lines of a file, and those of the files that it includes in their place."""
        for card in self._read(path):
            if card.keyword != "inc":
                yield card
                continue
            inner = card.named(card.included, path.parent)
            reading = (*outer, self._resolve(path))
            if self._resolve(inner) in reading:
                raise card.error("the file includes itself, by way of others or at once, and ngspice would crash.")
            yield from self._text(inner, reading)

    def _read(self, path: Path) -> list[_Card]:
        """The cards of one file, which is read only once."""
        path = self._resolve(path)
        if path not in self._cards:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise TechnologyError(f"Cannot read the model file {path}: {error.strerror or error}.") from error
            _require_no_commands(path, content)
            self.checksums[path] = hashlib.sha256(content).hexdigest()
            self._cards[path] = list(_cards(path, content))
        return self._cards[path]


def _require_no_commands(path: Path, content: bytes) -> None:
    found = _COMMANDS.search(content) or _RUNS.search(content)
    if found is not None:
        card = _Card(path, content.count(b"\n", 0, found.start()) + 1, fsdecode(found[0]).strip()[:80])
        raise card.error(
            "a model library must not run anything, and ngspice would: commands, programs and the shell. Take it out."
        )


def _cards(path: Path, content: bytes) -> Iterator[_Card]:
    number, counted = 1, 0
    for match in _CARD.finditer(content):
        number += content.count(b"\n", counted, match.start(1))
        counted = match.start(1)
        first, *more = (_COMMENT.sub("", line).strip() for line in fsdecode(match[1]).split("\n"))
        if not first.lower().startswith(".inc"):  # there ngspice has opened the file before it joins lines
            first = " ".join([first, *(line[1:] for line in more if line.startswith("+"))])
        yield _Card(path, number, first)
