"""What the tool itself says, by language: LANGUAGE=ko takes the Korean words where there are some.

A word that a language lacks is said in English. Texts of the notebooks do not stand here.
"""

import os

ENGLISH = {
    # ---- Starting at a section in a new kernel.
    "no saved state": "No run of this notebook is saved: the cells above “{section}” run now.",
    "does not fit": "The saved values do not fit ({error}).",
    "cells above": "cells above",
    "cells after": "the cells after {cell}",
    "resumed": "Ready for “{section}”: {n} names are back after {seconds:.1f} s.",
    # ---- The run-sheet.
    "clock": "{start}–{end} min",
    "talk of": "A talk of {minutes} minutes, then questions.",
    "not rehearsed": "Not rehearsed here: run `make rehearse CH={chapter}`.",
    "rehearsed": "Rehearsed here on {date}: fit for the stage.",
    "rehearsed with problems": "Rehearsed here on {date}, and not yet fit for the stage: "
    "run `make rehearse CH={chapter}`, which found {n} to mend.",
    "late in all": "Late? Leaving out what is marked saves {minutes:.0f} minutes.",
    "legend": "Before a cell: ? ask first, - leave out when late. After it: the seconds in the "
    "course's run and here.",
    "cell": "Cell",
    "course, s": "course, s",
    "here, s": "here, s",
    "prints": "prints first",
    "ask": "ask",
    "skip": "when late: skip",
    "a picture": "(a picture)",
    "defines": "(defines {names})",
    "stop and ask": "Stop and ask, before {cell}:",
    "expect": "What to expect",
    "when late": "When late, leave out {cells}: {minutes:.1f} minutes. The rest still runs.",
    "no waiting": "Do not run {cell}, which takes a while: show the output that is there, and run "
    "the cell below it. To show it live, run `make live CH={name}` in a terminal.",
    "viewers ask": "What viewers usually ask",
    "ten questions": "{n} questions for the end (for others, or another order: make quiz CH={name} "
    "SEED=2)",
    "answer": "Answer",
    "answers": "Answers to the questions",
    "invitation": "An invitation",
    "invitation subject": "Subject: {title}",
    "invitation hello": "Dear all,",
    "invitation when": "On DATE at TIME, PRESENTER presents this chapter at LINK: {minutes} "
    "minutes, followed by questions.",
    "invitation before": "To read before: {read}",
    "invitation lab": "To follow along: make lab, then open {notebook}.",
    "invitation exercises": "Afterwards: the exercises in my/{name}/exercises.ipynb, and make quiz "
    "CH={name}.",
    "invitation quiz": "Afterwards: make quiz CH={name}.",
    "invitation attached": "Attached: {files}",
    "invitation end": "See you there.",
    "read chapter": "chapter {number} of the book, or the beginning of the lesson and its figures.",
    "read alone": "the beginning of the lesson and its pictures.",
    "read appendix": "appendix {number} of the book, or the beginning of the lesson and its "
    "figures.",
    "as a page": "As a page: {path}",
    "no browser": "No browser could be opened: open {path} yourself.",
    # ---- The rehearsal.
    "rehearsal head": f"  {'Section':<46}{'planned':>7}{'minutes':>9}{'runs, s':>9}",
    "together": "together",
    "from": "from {section}",
    "cell fails": "Cell {cell} fails: {reason}",
    "cell slow": "Cell {cell} runs {seconds:.0f} s, more than {limit}. It needs a cell below it "
    "that goes on without it: see slides/resume.py.",
    "cell waits": "Cell {cell} runs {seconds:.0f} s. Show its output instead, and run the cell "
    "below it.",
    "busy": "Other programs kept {cores:.1f} cores busy, so CPU seconds count here where they are "
    "fewer than the clock's. Rehearse again when the machine is quiet.",
    "too long": "It takes {minutes:.0f} minutes, more than {limit}.",
    "differs": "Cell {cell} does not print what it printed in the committed run.",
    "may differ": "These cells print something different, as they may: {cells}.",
    "no resume cell": "“{section}” has no cell that brings back what it needs.",
    "rescue fails": "In a new kernel, “{section}” fails at cell {cell}: {reason}",
    "rescue lacks": "Started in a new kernel, “{section}” does not make all that “{next}” needs.",
    "rescue slow": "In a new kernel, “{section}” is ready after {imports:.1f} s for the libraries "
    "and {seconds:.1f} s for what it needs; {limit:.0f} are allowed for that.",
    "going on slow": "The cell below {cell} takes {seconds:.1f} s to bring back its result; "
    "{limit:.0f} are allowed.",
    "going on works": "The cell below {cell} brings back its result in {seconds:.1f} s.",
    "rescue works": "In a new kernel, “{section}” is ready after {imports:.1f} s for the libraries "
    "and {seconds:.1f} s for what it needs.",
    "first section": "“{section}” starts at the top of the notebook, with the imports.",
    "fit": "{chapter} is fit for the stage.",
    "not fit": "{chapter} is not fit for the stage: see the lines marked with !.",
    "all fit for the stage": "All are fit for the stage.",
    "some unfit": "Not fit for the stage: {chapters}.",
    # ---- A long cell, live.
    "one long chapter": "Name the one chapter whose training you want to show: make live CH=ch06.",
    "nothing long": "{chapter} has no cell that takes longer than {limit} seconds.",
    "until": "{chapter}, up to {cell}",
    "trains": "{cell} runs now.",
    "trained": "{cell} took {minutes:.1f} minutes. In the notebook, run the cell below it.",
    "live fails": "{chapter}: cell {cell} fails. {reason}",
    # ---- The quiz.
    "no quiz": "{chapter} has no quiz.",
    "quiz of": "{title}: {n} of {all} questions. Enter alone shows the answer, Ctrl+D ends it.",
    "question": "{number} of {n} (section {section}).",
    "harder": "(harder)",
    "your guess": "Your guess ({letters}):",
    "right": "{letter} is right, as you said.",
    "wrong": "No: {letter} is right.",
    "open": "{letter} is right.",
    "quiz score": "{right} of {asked} right.",
    # ---- reveal.js.
    "asking": "reveal.js: asking {name}",
    "not there": "not there: {error}",
    "something else": "something else is there: {file} has not the known SHA-256",
    "reveal.js is at": "reveal.js is at {folder}",
    "no reveal.js": "reveal.js, which decks are made with, could not be fetched into {folder}: "
    "set PIP_INDEX_URL to your network's package mirror, which has {wheel}, or install npm, which "
    "has reveal.js {version}, and run `python -m slides.vendor` again.",
    # ---- Slides measured.
    "no chromium": "Slides are measured in Chromium, which is not installed: sudo apt install "
    "chromium",
    "no deck": "There is no deck of {chapter} yet: run `make slides CH={chapter}` first.",
    "fault": "{chapter}, slide {slide}: {what}",
    "all fit": "{names}: every slide fits its frame.",
    # ---- The deck.
    "more lines": "… {n} more lines in the notebook",
    "more rows": "… {n} more rows in the notebook",
    "ask first": "Ask first: the output appears at the next key.",
    "skip when late": "Skip when late.",
    "do not wait": "This cell takes a while: show its output, and run the cell below it instead.",
    "decks": "Decks of the course",
    "keys": "In a deck, the space bar goes on, the arrow keys go to any slide, S opens the speaker "
    "notes, F fills the screen, Esc shows all slides. Links to notebooks work while make lab runs.",
    "chapter": "Chapter",
    "minutes": "{n} min",
    "slides": "slides: {n}",
    "sheet": "run-sheet",
    "handout": "handout",
    "questions": "questions",
    "notebook": "notebook",
    "exercises": "exercises",
    # ---- The notebook on a shared screen.
    "one chapter": "Name the one chapter that you present: make lab PRESENT=ch04.",
    # ---- The handout.
    "to remember": "Five sentences to remember",
    "shapes": "Shapes",
    "exercises of": "Exercises: {n}, {minutes} minutes",
    "at home": "At home: `make lab`, then `my/{name}/{name}.ipynb` ({minutes} minutes at the "
    "desk).",
    "at home, exercises": "At home: `make lab`, then `my/{name}/{name}.ipynb` ({minutes} minutes "
    "at the desk) and `my/{name}/exercises.ipynb`. Dots say how hard an exercise is.",
    "longer than a page": "{chapter}: the handout is longer than a page, however small its "
    "figure: shorten the takeaways or the exercises' titles.",
}

KOREAN = {
    # ---- Starting at a section in a new kernel.
    "no saved state": "이 노트북을 실행하고 저장한 상태가 없습니다. “{section}” 앞의 셀을 지금 "
    "실행합니다.",
    "does not fit": "저장한 값이 맞지 않습니다({error}).",
    "cells above": "앞의 셀",
    "cells after": "{cell} 다음 셀",
    "resumed": "“{section}”부터 할 수 있습니다. 이름 {n}개를 {seconds:.1f}초 만에 되살렸습니다.",
    # ---- The run-sheet.
    "clock": "{start}–{end}분",
    "talk of": "발표 {minutes}분, 이어서 질문.",
    "not rehearsed": "이 컴퓨터에서 예행연습을 하지 않았습니다. `make rehearse CH={chapter}`를 "
    "실행하세요.",
    "rehearsed": "{date}에 이 컴퓨터에서 예행연습을 마쳤습니다. 발표할 수 있습니다.",
    "rehearsed with problems": "{date}에 이 컴퓨터에서 예행연습을 했지만 아직 발표할 수 없습니다. "
    "`make rehearse CH={chapter}`가 고칠 곳을 {n}군데 찾았습니다.",
    "late in all": "늦었다면 표시한 셀을 빼서 {minutes:.0f}분을 아낄 수 있습니다.",
    "legend": "셀 앞의 ?는 먼저 질문, -는 늦으면 생략. 뒤의 숫자는 강좌에서 걸린 초와 여기서 "
    "걸린 초.",
    "cell": "셀",
    "course, s": "강좌, 초",
    "here, s": "여기, 초",
    "prints": "첫 출력",
    "ask": "질문",
    "skip": "늦으면 생략",
    "a picture": "(그림)",
    "defines": "({names} 정의)",
    "stop and ask": "{cell} 앞에서 멈추고 묻습니다.",
    "expect": "나올 대답",
    "when late": "늦었다면 {cells}를 생략합니다. {minutes:.1f}분이 줄고, 나머지는 그대로 "
    "실행됩니다.",
    "no waiting": "{cell}은 오래 걸리니 실행하지 마세요. 저장된 출력을 보여 주고 그 아래 셀을 "
    "실행합니다. "
    "직접 보여 주려면 터미널에서 `make live CH={name}`을 실행하세요.",
    "viewers ask": "청중이 자주 묻는 질문",
    "ten questions": "마무리 질문 {n}개(다른 질문이나 순서: make quiz CH={name} SEED=2)",
    "answer": "답",
    "answers": "질문의 답",
    "invitation": "초대장",
    "invitation subject": "제목: {title}",
    "invitation hello": "안녕하세요.",
    "invitation when": "DATE TIME에 PRESENTER 님이 LINK에서 이 장을 발표합니다. 발표는 "
    "{minutes}분이고, "
    "이어서 질문을 받습니다.",
    "invitation before": "미리 읽기: {read}",
    "invitation lab": "함께 실행하기: make lab을 실행한 다음 {notebook}을 엽니다.",
    "invitation exercises": "발표 뒤: my/{name}/exercises.ipynb의 연습 문제와 make quiz CH={name}.",
    "invitation quiz": "발표 뒤: make quiz CH={name}.",
    "invitation attached": "첨부: {files}",
    "invitation end": "그때 뵙겠습니다.",
    "read chapter": "책의 {number}장, 또는 수업의 앞부분과 그림.",
    "read alone": "수업의 앞부분과 그림.",
    "read appendix": "책의 부록 {number}, 또는 수업의 앞부분과 그림.",
    "as a page": "웹 페이지: {path}",
    "no browser": "브라우저를 열지 못했습니다. {path} 파일을 직접 여세요.",
    # ---- The rehearsal.
    "rehearsal head": f"  {'절':<45}{'계획':>6}{'분':>9}{'실행, 초':>8}",
    "together": "모두",
    "from": "{section}부터",
    "cell fails": "셀 {cell}에서 오류가 납니다. {reason}",
    "cell slow": "셀 {cell}은 {seconds:.0f}초 걸려서 한도 {limit}초를 넘습니다. 그 셀 없이 이어 "
    "가는 셀이 "
    "아래에 있어야 합니다. slides/resume.py를 보세요.",
    "cell waits": "셀 {cell}은 {seconds:.0f}초 걸립니다. 저장된 출력을 보여 주고 그 아래 셀을 "
    "실행하세요.",
    "busy": "다른 프로그램이 코어 {cores:.1f}개를 쓰고 있어서, CPU 시간이 더 짧으면 CPU 시간으로 "
    "셉니다. "
    "컴퓨터가 한가할 때 다시 해 보세요.",
    "too long": "{minutes:.0f}분이 걸려서 한도 {limit}분을 넘습니다.",
    "differs": "셀 {cell}의 출력이 저장소에 있는 것과 다릅니다.",
    "may differ": "다음 셀의 출력은 달라도 되는 것이고, 실제로 다릅니다: {cells}.",
    "no resume cell": "“{section}”에 필요한 것을 되살리는 셀이 없습니다.",
    "rescue fails": "새 커널에서 “{section}”부터 실행하면 셀 {cell}에서 오류가 납니다. {reason}",
    "rescue lacks": "새 커널에서 “{section}”부터 실행하면 “{next}”에 필요한 것이 다 만들어지지 "
    "않습니다.",
    "rescue slow": "새 커널에서 “{section}”을 준비하는 데 라이브러리 {imports:.1f}초, 필요한 값 "
    "{seconds:.1f}초가 걸립니다. 필요한 값의 한도는 {limit:.0f}초입니다.",
    "going on slow": "{cell} 아래 셀이 결과를 되살리는 데 {seconds:.1f}초가 걸립니다. 한도는 "
    "{limit:.0f}초입니다.",
    "going on works": "{cell} 아래 셀이 결과를 {seconds:.1f}초 만에 되살립니다.",
    "rescue works": "새 커널에서 “{section}”을 준비하는 데 라이브러리 {imports:.1f}초, 필요한 값 "
    "{seconds:.1f}초가 걸립니다.",
    "first section": "“{section}”은 노트북의 맨 위, 임포트에서 시작합니다.",
    "fit": "{chapter}: 발표할 수 있습니다.",
    "not fit": "{chapter}: 아직 발표할 수 없습니다. !가 붙은 줄을 보세요.",
    "all fit for the stage": "모두 발표할 수 있습니다.",
    "some unfit": "아직 발표할 수 없는 장: {chapters}.",
    # ---- A long cell, live.
    "one long chapter": "훈련을 보여 줄 장을 하나 고르세요: make live CH=ch06.",
    "nothing long": "{chapter}에는 {limit}초보다 오래 걸리는 셀이 없습니다.",
    "until": "{chapter}, {cell}까지",
    "trains": "{cell}을 실행합니다.",
    "trained": "{cell}에 {minutes:.1f}분이 걸렸습니다. 노트북에서 그 아래 셀을 실행하세요.",
    "live fails": "{chapter}: 셀 {cell}에서 오류가 났습니다. {reason}",
    # ---- The quiz.
    "no quiz": "{chapter}에는 퀴즈가 없습니다.",
    "quiz of": "{title}: {all}문제 가운데 {n}문제. Enter만 누르면 답이 나오고, Ctrl+D로 끝냅니다.",
    "question": "문제 {number} / {n} ({section}절).",
    "harder": "(어려움)",
    "your guess": "어느 것일까요({letters})?",
    "right": "맞습니다. 답은 {letter}입니다.",
    "wrong": "아닙니다. 답은 {letter}입니다.",
    "open": "답은 {letter}입니다.",
    "quiz score": "{asked}문제 가운데 {right}문제를 맞혔습니다.",
    # ---- reveal.js.
    "asking": "reveal.js: {name}에 묻는 중",
    "not there": "없습니다: {error}",
    "something else": "다른 파일이 있습니다. {file}의 SHA-256이 알려진 값과 다릅니다",
    "reveal.js is at": "reveal.js 위치: {folder}",
    "no reveal.js": "슬라이드를 만드는 reveal.js를 {folder}에 내려받지 못했습니다. PIP_INDEX_URL에 "
    "{wheel}이 있는 사내 패키지 미러를 넣거나, reveal.js {version}이 있는 npm을 설치한 다음 "
    "`python -m slides.vendor`를 다시 실행하세요.",
    # ---- Slides measured.
    "no chromium": "슬라이드를 재는 데 쓰는 Chromium이 없습니다: sudo apt install chromium",
    "no deck": "{chapter}의 슬라이드가 아직 없습니다. 먼저 `make slides CH={chapter}`를 "
    "실행하세요.",
    "fault": "{chapter}, 슬라이드 {slide}: {what}",
    "all fit": "{names}: 모든 슬라이드가 화면에 들어갑니다.",
    # ---- The deck.
    "more lines": "… 노트북에 {n}줄 더 있음",
    "more rows": "… 노트북에 {n}행 더 있음",
    "ask first": "먼저 물어보세요. 다음 키를 누르면 출력이 나옵니다.",
    "skip when late": "늦으면 생략.",
    "do not wait": "오래 걸리는 셀입니다. 출력을 보여 주고 그 아래 셀을 실행하세요.",
    "decks": "강좌의 슬라이드",
    "keys": "슬라이드에서는 스페이스 바로 앞으로 가고 화살표 키로 아무 슬라이드나 갑니다. S는 "
    "발표자 노트, "
    "F는 전체 화면, Esc는 슬라이드 전체 보기입니다. 노트북 링크는 make lab이 켜져 있을 때 "
    "열립니다.",
    "chapter": "장",
    "minutes": "{n}분",
    "slides": "슬라이드 {n}장",
    "sheet": "진행표",
    "handout": "유인물",
    "questions": "질문",
    "notebook": "노트북",
    "exercises": "연습 문제",
    # ---- The notebook on a shared screen.
    "one chapter": "발표할 장을 하나 고르세요: make lab PRESENT=ch04.",
    # ---- The handout.
    "to remember": "기억할 다섯 문장",
    "shapes": "크기",
    "exercises of": "연습 문제 {n}개, {minutes}분",
    "at home": "집에서: `make lab`을 실행하고 `my/{name}/{name}.ipynb`를 엽니다(함께 진행하면 "
    "{minutes}분).",
    "at home, exercises": "집에서: `make lab`을 실행하고 `my/{name}/{name}.ipynb`(함께 진행하면 "
    "{minutes}분)와 "
    "`my/{name}/exercises.ipynb`를 엽니다. 점은 연습 문제의 난이도입니다.",
    "longer than a page": "{chapter}: 그림을 아무리 줄여도 유인물이 한 쪽을 넘습니다. 핵심이나 "
    "연습 문제의 "
    "제목을 줄이세요.",
}

WORDS = {"en": ENGLISH, "ko": KOREAN}


def language() -> str:
    """The first language of LANGUAGE that there are words for: ko for ko_KR:en, else en."""
    wanted = os.environ.get("LANGUAGE", "").replace(":", " ").split()
    return next((w[:2] for w in wanted if w[:2] in WORDS), "en")


def say(key: str, **values: object) -> str:
    """A text of the tool, with these values in its braces."""
    text = WORDS[language()].get(key, ENGLISH[key])
    return text.format(**values) if values else text
