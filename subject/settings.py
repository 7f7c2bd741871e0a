"""What a project is told: settings.json, read and checked.

A project is a folder: settings.json, four notebooks, recorded/ (what long commands measured),
runs/ (texts as they are trained on, tokens, models: all of it can be made again), card.md.
"""

import json
import math
from dataclasses import dataclass, field, fields
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent / "examples"
NAME = "settings.json"
LANGUAGES = ("en", "ko")
ALLOWED = {  # the type of a setting -> what JSON may hold
    int: int,
    float: (int, float),
    str: str,
    tuple[str, ...]: tuple,
    int | None: (int, type(None)),
    str | None: (str, type(None)),
}


@dataclass(frozen=True)
class Settings:
    """One project's numbers. Raises: ValueError that names the setting and its limit."""

    name: str
    texts: str  # a folder, seen from the project's, or an absolute path
    language: str = "en"  # of the texts
    seed: int = 0
    held_out: float = 0.1  # share of the documents
    mask: tuple[str, ...] = ("mail", "phone", "resident number", "card")  # before any training
    vocab_size: int = 1024
    context_length: int = 128
    emb_dim: int = 128
    n_heads: int = 4
    n_layers: int = 4
    tokens: int = 1_000_000  # to read in a pretraining, in all epochs
    batch_size: int = 16
    lr: float = 0.003
    seeds: int = 3  # of each training that is short
    go_on_lr: float = 0.001  # a model that can write already needs smaller steps
    go_on_tokens: int | None = None  # None: as many as tokens
    real_tokens: int = 16_384  # that the real model reads: it is large
    real_lr: float = 0.001
    rank: int = 8  # of LoRA
    instructions: str | None = None  # a JSON file of entries; None: made of templates.json
    epochs: int = 4  # of the finetuning
    finetune_lr: float = 0.001
    start_from: str = "scratch"  # what is finetuned: scratch or go-on

    def __post_init__(self):
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, bool) or not isinstance(value, ALLOWED[f.type]):
                raise ValueError(f"{f.name} is {value!r:.40}, which it cannot be")
        if not self.name.strip():
            raise ValueError("name is empty")
        if not self.texts.strip():
            raise ValueError("texts is empty: name the folder of the texts")
        if self.language not in LANGUAGES:
            raise ValueError(f"language is {self.language!r}, not one of {', '.join(LANGUAGES)}")
        if self.start_from not in ("scratch", "go-on"):
            raise ValueError(f"start_from is {self.start_from!r}, not scratch or go-on")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}, not a share between 0 and 1")
        least = dict.fromkeys(("context_length", "emb_dim", "n_heads", "n_layers", "tokens"), 1)
        least |= dict.fromkeys(("batch_size", "seeds", "real_tokens", "rank", "epochs"), 1)
        for name, low in (least | {"vocab_size": 257, "seed": 0}).items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}, and must be at least {low}")
        for name in ("lr", "go_on_lr", "real_lr", "finetune_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, and must be above 0")
        if self.emb_dim % self.n_heads:
            raise ValueError(f"emb_dim {self.emb_dim} cannot be shared by {self.n_heads} n_heads")


@dataclass(frozen=True)
class Project:
    """A folder with its settings, and where its parts lie."""

    folder: Path
    settings: Settings = field(repr=False)

    @property
    def texts(self) -> Path:
        return self.folder / self.settings.texts  # an absolute path stays what it is

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def recorded(self) -> Path:
        return self.folder / "recorded"

    @property
    def shown(self) -> str:
        """The folder as a command of the course has it."""
        for near in (Path.cwd(), EXAMPLES.parents[1]):
            if near in self.folder.parents:
                return self.folder.relative_to(near).as_posix()
        return self.folder.as_posix()


def read_settings(path: str | Path) -> Settings:
    """The settings in a file.

    Raises: FileNotFoundError if there is none, ValueError that says what is wrong and where.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{path} is not there: `python -m playbook new-model NAME --texts FOLDER` makes a "
            "project with its settings"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start})") from None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: this is no JSON ({error.msg})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no settings but {found!r:.40}")
    known = {f.name for f in fields(Settings)}
    if unknown := sorted(found.keys() - known):
        raise ValueError(f"{path}: {unknown[0]} is no setting; there are {', '.join(known)}")
    if missing := [name for name in ("name", "texts") if name not in found]:
        raise ValueError(f"{path}: {missing[0]} is missing")
    if isinstance(found.get("mask"), list):
        found["mask"] = tuple(found["mask"])
    try:
        return Settings(**found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_settings(path: Path, settings: Settings) -> None:
    """Write settings, one to a line."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def open_project(where: str | Path = ".") -> Project:
    """The project of a folder, or one of the course's examples by its name.

    Raises: FileNotFoundError or ValueError as read_settings.
    """
    folder = Path(where)
    if not (folder / NAME).exists() and (EXAMPLES / str(where) / NAME).exists():
        folder = EXAMPLES / str(where)
    folder = folder.resolve()
    return Project(folder, read_settings(folder / NAME))
