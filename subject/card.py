"""Write a project's model card from its settings and records: python -m subject.card PROJECT

What no record holds, a person has to say: the card has places for it, and what stands in them is
kept when the card is written again.
"""

import argparse
import re
from collections.abc import Sequence

import pandas as pd

from course.commands import one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.evaluate import (
    mean_right,
    read_evaluation,
    tabulate_bits,
    tabulate_errors,
    tabulate_kinds,
)
from subject.held_out import leaks, make_split
from subject.look import duplicates, languages, near_pairs, sizes
from subject.personal import tabulate as tabulate_personal
from subject.settings import Project, open_project
from subject.texts import read_texts
from subject.train import read_record

WORDS = {
    "en": {
        "title": "Model card: {name}",
        "what": "A small model of one subject. It was trained on the texts of one folder and knows "
        "nothing else; what it says may be wrong.",
        "texts": "Texts",
        "sizes": "{documents} documents, {words} words; {dropped} near duplicates left out; "
        "{train} to learn from, {held_out} held out before the training, of which {leaks} have a "
        "near duplicate among the others.",
        "personal": "What rules found that is personal, before anything was trained. Masked in all "
        "that was trained on: {mask}.",
        "training": "Training",
        "rows": "Each row is a training of `python -m subject.train`; seconds are those of the "
        "processor.",
        "bits": "Bits per byte of the documents held out",
        "answers": "Answers to the test entries, to the letter",
        "all": "All kinds together, mean of the seeds: {mean}.",
        "errors": "Wrong answers",
        "nothing": "Nothing was measured yet: `python -m subject.evaluate`.",
        "places": {
            "source": ("Where the texts come from, and who allowed their use", "…"),
            "use": ("What the model is for, and what it is not for", "…"),
            "limits": ("What was seen to go wrong", "…"),
        },
    },
    "ko": {
        "title": "모델 카드: {name}",
        "what": "한 가지 주제를 다루는 작은 모델입니다. 폴더 하나에 든 텍스트로 훈련했고 그 밖의 "
        "것은 모릅니다. 모델의 말은 틀릴 수 있습니다.",
        "texts": "텍스트",
        "sizes": "문서 {documents}개, 단어(어절) {words}개입니다. 거의 같은 문서 {dropped}개는 "
        "뺐습니다. {train}개로 훈련했고 {held_out}개는 훈련 전에 떼어 두었습니다. 떼어 둔 문서 "
        "가운데 훈련 문서와 거의 같은 것은 {leaks}개입니다.",
        "personal": "훈련 전에 규칙으로 찾은 개인 정보입니다. 훈련에 쓴 텍스트에서는 다음 종류를 "
        "가렸습니다: {mask}.",
        "training": "훈련",
        "rows": "줄마다 `python -m subject.train`의 훈련 하나입니다. 초는 CPU 시간입니다.",
        "bits": "떼어 둔 문서의 바이트당 비트",
        "answers": "시험 항목의 답이 글자까지 같은 비율",
        "all": "모든 종류를 합친 비율, 시드 평균: {mean}.",
        "errors": "틀린 답",
        "nothing": "아직 잰 것이 없습니다: `python -m subject.evaluate`.",
        "places": {
            "source": ("텍스트의 출처와 사용을 허락한 사람", "…"),
            "use": ("모델의 쓰임과 쓰지 말아야 할 곳", "…"),
            "limits": ("틀린다고 알려진 것", "…"),
        },
    },
}


def markdown(table: pd.DataFrame, name: str = "") -> str:
    """A table in Markdown; what is no number stays empty."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if value != value else f"{value:g}"
        return " ".join(str(value).split()).replace("|", "\\|")

    rows = [[name, *map(str, table.columns)]]
    rows += [[str(i), *map(cell, row)] for i, row in zip(table.index, table.values.tolist())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|:--" * len(rows[0]) + "|", *lines[1:]])


def trainings(rows: Sequence[dict]) -> pd.DataFrame:
    """The trainings of a record, one to a line."""
    columns = ("stage", "seed", "steps", "tokens", "lr", "cpu_seconds")
    found = [[(row | row["told"]).get(name, "") for name in columns] for row in rows]
    table = pd.DataFrame(found, columns=columns).set_index("stage")
    return table.rename(columns={"cpu_seconds": "CPU seconds"})


def said_before(text: str) -> dict[str, str]:
    """What a person has written into a card's places."""
    found = re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- end -->", text, flags=re.S)
    return {name: said.strip() for name, said in found}


def make_card(project: Project, before: str = "") -> str:
    """The card's text; what a person said in the card before is kept.

    Raises: ValueError or FileNotFoundError if texts or records cannot be read.
    """
    words, settings = WORDS[project.settings.language], project.settings
    documents, split = read_texts(project), make_split(project)
    evaluation, said = read_evaluation(project), said_before(before)
    together = sizes(documents).loc["together"]
    parts = [f"# {words['title'].format(name=settings.name)}", words["what"]]
    for name, (title, empty) in words["places"].items():
        parts.append(f"## {title}\n\n<!-- {name} -->\n{said.get(name, empty)}\n<!-- end -->")
    found = duplicates(documents, near_pairs([d.text for d in documents]))
    parts += [
        f"## {words['texts']}",
        words["sizes"].format(
            documents=found["documents"],
            words=f"{together['words']:,}",
            dropped=split.dropped,
            train=len(split.train),
            held_out=len(split.held_out),
            leaks=leaks(split),
        ),
        markdown(languages(documents)),
        words["personal"].format(mask=", ".join(settings.mask) or "—"),
        markdown(tabulate_personal(documents)),
        f"## {words['training']}",
    ]
    rows = read_record(project)
    parts += [words["rows"], markdown(trainings(rows), "stage")] if rows else []
    if not evaluation:
        return "\n\n".join([*parts, words["nothing"]]) + "\n"
    parts += [f"## {words['bits']}", markdown(tabulate_bits(evaluation))]
    if "finetuned" in evaluation["answers"]["right"]:
        parts += [f"## {words['answers']}", markdown(tabulate_kinds(evaluation))]
        parts.append(words["all"].format(mean=mean_right(evaluation, "finetuned")))
        parts += [f"## {words['errors']}", markdown(tabulate_errors(evaluation))]
    return "\n\n".join(parts) + "\n"


def write_card(project: Project) -> str:
    """Write card.md, whole or not at all; its text."""
    path = project.folder / "card.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    text = make_card(project, before)
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.card", description="Write a project's model card."
    )
    parser.add_argument("project", help="the folder of a project, or the name of an example")
    args = parser.parse_args(arguments)
    with one_sentence("subject.card"):
        project = open_project(args.project)
        write_card(project)
        print(f"{project.folder / 'card.md'} is written: fill in its empty places")


if __name__ == "__main__":
    main()
