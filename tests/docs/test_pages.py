"""What README and docs promise is there: pages, links, files, commands, options, snippets."""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import typer
from clips import write_clip
from markdown_it import MarkdownIt
from markdown_it.token import Token

import persam_vos

ROOT = Path(__file__).parents[2]
DATA = Path(persam_vos.__file__).parent / "data"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages on how to use the package; the others speak of the scripts' options as well.
USER_PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("quickstart", "video", "photos", "batch")),
]
# Every command has it; Typer does not list it among the options.
OTHER_FLAGS = {"--help"}
RUNNABLE = "<!-- runnable -->"

markdown = MarkdownIt("commonmark").enable("table")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, those inside of paragraphs and tables included."""
    for token in markdown.parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page."""
    found = (token.attrGet("href") or token.attrGet("src") for token in tokens(page))
    return [str(link) for link in found if link is not None]


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as GitHub and Sphinx make them."""
    parsed = markdown.parse(page.read_text(encoding="utf-8"))
    titles = [parsed[i + 1].content for i, token in enumerate(parsed) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-") for title in titles}


def code(page: Path) -> Iterator[str]:
    """Every line of the code blocks of a page, and every piece of code in its text."""
    for token in tokens(page):
        if token.type == "code_inline":
            yield " ".join(token.content.split())
        elif token.type in ("fence", "code_block"):
            yield from token.content.splitlines()


def snippets(page: Path) -> list[tuple[str, bool]]:
    """The Python blocks of a page, and whether each is marked as runnable."""
    parsed = markdown.parse(page.read_text(encoding="utf-8"))
    found = [(i, token) for i, token in enumerate(parsed) if token.type == "fence" and token.info == "python"]
    return [(token.content, i > 0 and parsed[i - 1].content.strip() == RUNNABLE) for i, token in found]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as HTML; any warning of Sphinx is an error."""
    from sphinx.application import Sphinx

    folder = tmp_path_factory.mktemp("docs")
    source = ROOT / "docs"
    with warnings.catch_warnings():
        # Deprecations inside of Sphinx and its extensions are not ours.
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"status": None, "warningiserror": True, "confoverrides": {"nitpicky": True}}
        app = Sphinx(source, source, folder / "html", folder / "trees", "html", **options)
        app.build()
    assert app.statuscode == 0
    return folder / "html"


def test_every_page_is_built(built: Path) -> None:
    assert all((built / f"{page.stem}.html").is_file() for page in PAGES[1:])


def test_every_public_name_is_described(built: Path) -> None:
    text = (built / "python.html").read_text(encoding="utf-8")
    missing = [name for name in getattr(persam_vos, "__all__", ()) if f'id="persam_vos.{name}"' not in text]
    assert missing in ([], ["__version__"])


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        parts = urlparse(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc), link
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.is_file(), link
        assert not parts.fragment or parts.fragment in anchors(target), link


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_every_file_that_is_named_is_there() -> None:
    named = re.compile(r"(?<![\w/])(?:docs|scripts|tests|configs|persam_vos)/[\w./-]*\w")
    texts = [*PAGES, ROOT / "NOTICE", ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / "configs").glob("*.yaml")]
    missing = {
        (path.name, name)
        for path in texts
        for name in named.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert not missing


def test_every_module_that_the_architecture_names_is_there() -> None:
    named = set(re.findall(r"`(\w+\.py)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    assert named <= {path.name for path in (ROOT / "persam_vos").rglob("*.py")}


def test_every_page_that_code_names_is_there() -> None:
    sources = [path for folder in ("persam_vos", "scripts") for path in (ROOT / folder).rglob("*.py")]
    named = {
        (path.name, name)
        for path in sources
        for name in re.findall(r"docs/[\w-]+\.(?:md|json)", path.read_text(encoding="utf-8"))
    }
    assert not {(path, name) for path, name in named if not (ROOT / name).exists()}


def command_line() -> Any:
    from persam_vos.cli.app import app

    return typer.main.get_command(app)


def parse(arguments: list[str]) -> None:
    """Read a command line without running anything; raise what is wrong with it."""
    group = command_line()
    if not arguments or arguments == ["--help"]:
        return
    command = group.commands[arguments[0]]
    # The name alone is no command line: a sentence speaks of the command.
    if len(arguments) > 1 and "--help" not in arguments:
        command.make_context(arguments[0], list(arguments[1:]))


@pages
def test_every_command_line_is_accepted(page: Path) -> None:
    for line in code(page):
        if line.startswith("persam-vos "):
            parse(shlex.split(line, comments=True)[1:])


def test_a_command_line_with_an_unknown_option_is_not_accepted() -> None:
    with pytest.raises(Exception, match="--first-masc"):
        parse(["run", "video.mp4", "--first-masc", "mask.png"])


def options_of(*names: str) -> set[str]:
    commands = command_line().commands
    chosen = [commands[name] for name in names or commands]
    parameters = [parameter for command in chosen for parameter in command.params]
    return {name for each in parameters for name in (*each.opts, *each.secondary_opts) if name.startswith("--")}


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: page.name)
def test_every_option_that_is_named_exists(page: Path) -> None:
    named = {flag for text in code(page) for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", text)}
    assert named <= options_of() | OTHER_FLAGS


@pytest.mark.parametrize(
    ("command", "names"), [("run", ["video"]), ("image", ["photos", "video"]), ("batch", ["batch", "video"])]
)
def test_every_option_is_explained(command: str, names: list[str]) -> None:
    text = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in names)
    unexplained = {name for name in options_of(command) if name not in text}
    assert unexplained <= {"--output", "--help"}  # -o


@pages
def test_every_benchmark_that_is_named_exists(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench

    for line in code(page):
        if line.startswith("python scripts/bench.py"):
            monkeypatch.setattr("sys.argv", shlex.split(line, comments=True)[1:])
            assert bench.parse().command


def test_page_of_benchmarks_is_of_their_figures() -> None:
    from benchmarks.figures import read_figures
    from benchmarks.report import page

    figures = read_figures(ROOT / "docs" / "benchmarks.json")
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page(figures)


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_seconds_a_frame_are_those_of_the_benchmarks(name: str) -> None:
    from benchmarks.figures import read_figures, with_table

    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == with_table(text, read_figures(ROOT / "docs" / "benchmarks.json"))


def test_memory_of_the_readme_is_the_most_of_the_benchmarks() -> None:
    from benchmarks.figures import read_figures

    figures = read_figures(ROOT / "docs" / "benchmarks.json")
    most = max(max(found["memory"]["mib_at_most_in_500_frames"]) for found in figures.values() if "memory" in found)
    row = next(line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if "5,000 frames" in line)
    assert f"| {most / 1024:.1f} GiB |" in row


@pages
def test_every_snippet_is_python(page: Path) -> None:
    for source, _ in snippets(page):
        compile(source, str(page), "exec")
        imported = re.findall(r"^from persam_vos import (.+)$", source, re.MULTILINE)
        for name in (name.strip() for names in imported for name in names.split(",")):
            assert hasattr(persam_vos, name), name


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the snippets name: two frames of the demo clip, as a video and as photos, and masks."""
    from PIL import Image

    from persam_vos.media.readers import open_video

    folder = tmp_path_factory.mktemp("footage")
    (folder / "holiday").mkdir()
    with open_video(DATA / "bunny.mp4") as video:
        frames = [frame.rgb for frame in islice(video, 2)]
    write_clip(folder / "video.mp4", frames)
    Image.fromarray(frames[0]).save(folder / "cat.jpg")
    Image.fromarray(frames[1]).save(folder / "holiday" / "IMG_01.jpg")
    for name in ("mask.png", "cat_mask.png"):
        shutil.copy(DATA / "bunny_mask.png", folder / name)
    return folder


RUNS = [(page, i) for page in PAGES for i, (_, runs) in enumerate(snippets(page)) if runs]


@pytest.mark.usefixtures("networks_are_shared")
@pytest.mark.parametrize(("page", "i"), RUNS, ids=[f"{page.name}-{i}" for page, i in RUNS])
def test_snippet_runs(page: Path, i: int, footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(footage)
    source, _ = snippets(page)[i]
    exec(compile(source, str(page), "exec"), {"__name__": "snippet"})


def test_the_architecture_names_every_room_from_the_highest_floor_down() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \w* *\| `(\w+)/` \|", text, re.MULTILINE)
    rooms = {path.parent.name for path in (ROOT / "persam_vos").glob("*/__init__.py")}
    assert set(named) == rooms
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("layers = [")[2].partition("]")[0]
    floors = [re.findall(r"persam_vos\.(\w+)", line) for line in contract.splitlines()]
    floor_of = {room: i for i, floor in enumerate(floors) for room in floor}
    assert sorted(named, key=floor_of.__getitem__) == named
