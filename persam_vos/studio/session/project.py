"""The folder of a session: what is in it, whose it is, and how it is saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from persam_vos.errors import OutputError, PromptError, SettingsError, reason
from persam_vos.files import PartialFolder, check_writable, content_of_folder, output_errors, real_path, write_lines
from persam_vos.locks import FolderLock
from persam_vos.media.identity import source_identity
from persam_vos.media.photo_files import is_glob
from persam_vos.prompts import MAX_ID, NamedObject
from persam_vos.prompts.prompts_json import read_prompts, write_prompts

if TYPE_CHECKING:
    from persam_vos.video.session.session import Session

_FACTS, _LOCK = "studio.json", "studio.lock"
_HELD = "is open in another studio{by}; end that one, or give another folder with -o"
_PROMPTS, _SETTINGS = "prompts.json", "prompts.masks/session.json"
_EXPORT = "export-"


class _Object(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: int = Field(ge=1, le=MAX_ID)
    name: str = ""
    color: str = ""


class _Facts(BaseModel):
    """What studio.json holds.

    Attributes:
        version: Of the file.
        video: Name of the video, for messages.
        identity: What tells the video from others.
        range: First frame, first frame that is left out, and stride.
        objects: All that are listed, also those of which nothing is said yet.
        last_id: The highest id that any object has had.
    """

    model_config = ConfigDict(extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    video: str
    identity: dict[str, Any]
    range: tuple[NonNegativeInt, PositiveInt, PositiveInt]
    objects: tuple[_Object, ...] = ()
    last_id: int = Field(default=0, ge=0, le=MAX_ID)

    @model_validator(mode="after")
    def _check(self) -> _Facts:
        if not range(*self.range):
            raise ValueError("the range is empty")
        return self


def folder_for(source: str) -> Path:
    """Return the folder of a session of which none was given: beside the video, ``clip.persam`` for ``clip.mp4``."""
    path = Path(source)
    if is_glob(source) and not path.exists():
        path = path.parent
    if path.is_dir():
        path = real_path(path)
        return path.with_name(f"{path.name}.persam")
    return path.with_suffix(".persam")


def saved_settings(folder: Path) -> Mapping[str, Any]:
    """Return the settings of the session in a folder that are others than usual; none where it cannot be read.

    Why it cannot be read is said when the session is opened.

    Args:
        folder: Of the session, which need not be there.
    """
    if not (folder / _PROMPTS).exists():
        return {}
    try:
        return dict(json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


class Project:
    """A session folder that this process holds.

    Args:
        folder: The folder; made if it is missing.
        source: The video.

    Attributes:
        folder: The folder.
        prompts: What was said, in the format of all runs.
        masks: What was propagated.
        objects: Those that were listed when the folder was opened, by id.
        last_id: The highest id that any object had then.
        frames: The frames of the session; None until a new one has begun.

    Raises:
        OutputError: If the folder is another one's, is in use, or cannot be written to; or a name is no text.
        PromptError: If it is the session of another video.
    """

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self._source = folder, source
        self.prompts, self.masks = folder / _PROMPTS, folder / "propagated.sqlite"
        self._facts_file = folder / _FACTS
        _check_names(folder, source)
        try:
            check_writable(folder)
        except OutputError as error:
            raise OutputError(f"{error}; give another folder with -o") from error
        self._lock = FolderLock(folder, _LOCK, _HELD)
        try:
            facts = self._read()
        except BaseException:
            self._lock.close()
            raise
        self._identity = source_identity(source) if facts is None else facts.identity
        self.frames = None if facts is None else range(*facts.range)
        listed = () if facts is None else facts.objects
        self.objects = {each.id: NamedObject(each.id, each.name, each.color) for each in listed}
        self.last_id = 0 if facts is None else facts.last_id

    def begin(self, frames: range, *, is_chosen: bool) -> None:
        """Fix the frames of the session, and save what is known so far.

        Args:
            frames: Those that were asked for.
            is_chosen: Whether somebody has chosen them; else a session that is there already keeps its own.

        Raises:
            SettingsError: If the session has others.
            OutputError: If the folder cannot be written to.
        """
        if self.frames is not None and is_chosen and frames != self.frames:
            raise SettingsError(
                f"{self.folder}: is a session of frames {_spelled(self.frames)}, and {_spelled(frames)} are asked for;"
                " leave out --start, --end and --stride, or give another folder with -o"
            )
        self.frames = self.frames or frames
        with output_errors(self.folder):
            for path in self.folder.glob(f".{_EXPORT}*.partial"):
                shutil.rmtree(path)
        self.list_objects(self.objects.values(), self.last_id)

    def check_begins_with(self, video: Path | None) -> None:
        """See that the session can begin with the prompts of another folder.

        Args:
            video: The video that these prompts name.

        Raises:
            PromptError: If they are of another video, or the session has prompts of its own.
        """
        if video is None or real_path(video) != real_path(self._source):
            raise PromptError(f"the prompts are of {video or 'no video'}, and not of {self._source}; give that video")
        if self.prompts.exists() or self.objects:
            raise PromptError(
                f"{self.folder}: is a session already, which goes on with what was said there; leave out --prompts, or"
                " give another folder with -o"
            )

    def check_prompts(self) -> bool:
        """Tell whether something was said; if so, see that the file can be read, and names the video where it is now.

        Raises:
            PromptError: If the file is damaged.
            OutputError: If the video has moved, and the file cannot be written.
        """
        if not self.prompts.exists():
            return False
        said = read_prompts(self.prompts)
        if said.video is None or real_path(said.video) != real_path(self._source):
            write_prompts(self.prompts, replace(said, video=self._source))
        return True

    def list_objects(self, objects: Iterable[NamedObject], last_id: int) -> None:
        """Save which objects are listed.

        Raises:
            OutputError: If that fails.
        """
        assert self.frames is not None
        facts = _Facts(
            video=self._source.name,
            identity=self._identity,
            range=(self.frames.start, self.frames.stop, self.frames.step),
            objects=tuple(_Object(id=each.id, name=each.name, color=each.color) for each in objects),
            last_id=last_id,
        )
        write_lines(self._facts_file, json.dumps(facts.model_dump(mode="json"), indent=1, ensure_ascii=False))

    def keep(self, session: Session) -> None:
        """Save what was said.

        Raises:
            OutputError: If that fails.
        """
        if session.objects:
            session.save(self.prompts, propagated=False)
        else:
            with output_errors(self.prompts):
                self.prompts.unlink(missing_ok=True)

    def new_export(self) -> PartialFolder:
        """Return the next folder for an export, which gets its name when it is whole.

        Raises:
            OutputError: If the folder cannot be read.
        """
        with output_errors(self.folder):
            names = [path.name.removeprefix(_EXPORT) for path in self.folder.glob(f"{_EXPORT}*")]
        taken = [int(name) for name in names if name.isdecimal() and len(name) < 10]
        return PartialFolder(self.folder / f"{_EXPORT}{max(taken, default=0) + 1}")

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def _read(self) -> _Facts | None:
        """Return what the folder says of itself; None for an empty one."""
        if not self._facts_file.exists():
            if others := [name for name in content_of_folder(self.folder) if name != _LOCK]:
                raise OutputError(
                    f"{self.folder}: holds {others[0]}, and is no session of the studio; give another folder with -o"
                )
            return None
        try:
            facts = _Facts.model_validate_json(self._facts_file.read_bytes())
        except (OSError, ValidationError) as error:
            why = "it has been changed" if isinstance(error, ValidationError) else reason(error)
            raise OutputError(
                f"{self._facts_file}: cannot be read ({why}); give another folder with -o, or mend it"
            ) from error
        if facts.identity != source_identity(self._source):
            raise PromptError(
                f"{self.folder}: is the session of another clip, {facts.video}, and not of {self._source.name}; give"
                " that clip, or another folder with -o"
            )
        return facts


def _check_names(folder: Path, source: Path) -> None:
    """Raise ``OutputError`` if the files of a session could not name the video."""
    for path in (source, folder):
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise OutputError(
                f"{path}: its name is no text in UTF-8, which no prompts.json can hold; rename it"
            ) from error


def _spelled(frames: range) -> str:
    every = "" if frames.step == 1 else f", every {frames.step} frames"
    return f"{frames[0]} to {frames[-1]}{every}"
