"""What the commands that a learner meets first say, in the machine's language: English or Korean.

COURSE_LANGUAGE=ko or en decides, else the language that the system is set to. A message stands in
English where it is said, with its values in braces, and its Korean stands here. No package is
needed, for the check of the set-up says it too.
"""

import argparse
import locale
import os
import unicodedata

KOREAN = {
    # ---- make check
    "Memory": "메모리",
    "Disk": "디스크",
    "CPU threads": "CPU 스레드",
    "GPT-2 vocabulary": "GPT-2 어휘 사전",
    "Cache folder": "캐시 폴더",
    "Chapters": "장",
    "C compiler": "C 컴파일러",
    "Precision": "정밀도",
    "Training": "훈련",
    "Training on {device}": "훈련({device})",
    "{python} on {system} {machine}": "{python}, {system} {machine}",
    "take Python 3.10 to 3.13, for example make PYTHON=python3.12 lab": "Python 3.10~3.13을 "
    "쓰세요. 예: make PYTHON=python3.12 lab",
    "not the course's own: run make check": "강좌의 Python이 아닙니다. make check로 실행하세요",
    "set up again: make clean, make lab": "다시 설치하세요: make clean, make lab",
    "not installed": "설치되지 않음",
    "may do; the course is tested with {pin}": "될 수도 있지만, 강좌는 {pin}로 검사했습니다",
    "{n}, PyTorch uses {used}": "{n}개, PyTorch는 {used}개 사용",
    "{free:.1f} GiB free of {total:.1f}": "{total:.1f} GiB 가운데 {free:.1f} GiB 남음",
    "little: close other programs before ch05": "부족합니다. ch05 전에 다른 프로그램을 닫으세요",
    "{free:.1f} GiB free": "{free:.1f} GiB 남음",
    "little: checkpoints and packages need about 2 GiB": "부족합니다. 체크포인트와 패키지에 2 "
    "GiB쯤 "
    "필요합니다",
    "{gpu}, CUDA {cuda}, driver {driver}": "{gpu}, CUDA {cuda}, 드라이버 {driver}",
    "unknown": "알 수 없음",
    "this PyTorch is the CPU build: make clean, then make lab without TORCH_INDEX": "CPU용 "
    "PyTorch입니다. "
    "make clean을 실행한 다음 TORCH_INDEX 없이 make lab을 실행하세요",
    "NVIDIA driver {driver}, not used": "NVIDIA 드라이버 {driver}, 쓰지 않음",
    "PyTorch needs a driver for CUDA {cuda}: update it": "PyTorch에 CUDA {cuda}용 드라이버가 "
    "필요합니다. "
    "업데이트하세요",
    "none that works": "작동하는 것이 없음",
    "only appendix F wants one: {way}": "부록 F에만 필요합니다: {way}",
    "{version}": "{version}",
    "{version}, one thread": "{version}, 스레드 하나",
    "none: the course runs on the CPU": "없음. 강좌는 CPU에서 실행됩니다",
    "{precision} on {device}": "{device}에서 {precision}",
    "{precision} on {device}: bfloat16 is {gain:.1f} times as fast": "{device}에서 {precision}: "
    "bfloat16이 {gain:.1f}배 빠름",
    "set COURSE_PRECISION to one of them": "COURSE_PRECISION에 그 가운데 하나를 넣으세요",
    "{n:,} tokens, SHA-256 right": "토큰 {n:,}개, SHA-256 맞음",
    "missing or damaged": "없거나 손상됨",
    "run python setup/get_vocabulary.py": "python setup/get_vocabulary.py를 실행하세요",
    "{folder} can be written": "{folder}에 쓸 수 있음",
    "set COURSE_CACHE to a folder of yours": "COURSE_CACHE에 쓸 수 있는 폴더를 넣으세요",
    "{name} is not installed": "{name}이 설치되지 않음",
    "run make lab": "make lab을 실행하세요",
    "another copy of the course is installed: make clean, make lab here": "다른 곳의 강좌가 "
    "설치되어 있습니다. "
    "여기서 make clean, make lab을 실행하세요",
    "{name} is {folder}": "{name}은 {folder}",
    "{first} to {last}, from this folder": "{first}~{last}, 이 폴더",
    "COURSE_DEVICE names it: take another one, or none": "COURSE_DEVICE에 적힌 값입니다. 다른 "
    "장치를 "
    "넣거나 비우세요",
    "ten losses from {first:.3f} to {last:.3f}": "손실 열 개, {first:.3f}에서 {last:.3f}까지",
    "step {step} should be {right:.3f}: this device computes wrongly": "{step}번째 값은 "
    "{right:.3f}이어야 "
    "합니다. 이 장치는 계산이 틀립니다",
    "update its driver or set COURSE_DEVICE=cpu": "드라이버를 업데이트하거나 COURSE_DEVICE=cpu를 "
    "넣으세요",
    "The course cannot run yet: do what the rows marked ! say.": "아직 강좌를 실행할 수 "
    "없습니다. !가 붙은 "
    "줄대로 하세요.",
    "Without make, setup/README.md has the commands.": "make가 없으면 setup/README.ko.md의 "
    "명령을 쓰세요.",
    "The course can run.": "강좌를 실행할 수 있습니다.",
    # ---- the checks of exercises, and make progress; what is off stands in each chapter's ko.po
    "Exercise {number}: {status}.": "연습 문제 {number}: {status}.",
    "right": "맞습니다",
    "not done yet": "아직 풀지 않았습니다",
    "not right yet": "아직 맞지 않습니다",
    "How far the reader has come: which exercises are done, tried, open.": "어디까지 왔는지: "
    "다 푼 연습 문제, 풀어 본 문제, 남은 문제를 보여 줍니다.",
    "done": "풀었음",
    "tried": "풀어 봄",
    "open": "남음",
    "{n} of {all}": "{all}개 중 {n}개",
    "{n} of {all} done": "{all}개 중 {n}개 풀었음",
    "{n} of {all} done, about {minutes} minutes of work left": "{all}개 중 {n}개 풀었음, 남은 "
    "문제는 약 {minutes}분 분량",
    # ---- python -m ch05.gpt_train
    "Train a GPT on a text; gpt_generate writes with it.": "텍스트로 GPT를 훈련합니다. "
    "gpt_generate가 이 "
    "모델로 글을 씁니다.",
    "a UTF-8 text file": "UTF-8 텍스트 파일",
    "tokens to learn": "배울 토큰 수",
    "tokens of a window": "윈도 하나의 토큰 수",
    "times the text is read": "텍스트를 읽는 횟수",
    "windows for each step": "스텝마다 읽는 윈도 수",
    "AdamW's learning rate": "AdamW의 학습률",
    "of the first weights": "처음 가중치의 시드",
    "cpu, cuda or mps; the best one here if not given": "cpu, cuda, mps. 없으면 이 컴퓨터에서 "
    "가장 좋은 것",
    "the samples go on from it": "표본이 이어 쓸 텍스트",
    "the folder for the model": "모델을 둘 폴더",
    "go on with the run in --out": "--out에 있는 훈련을 이어서 합니다",
    "{n} of {all} epochs are complete": "{all} 에포크 가운데 {n} 에포크를 마쳤습니다",
    "{text}: {n} training windows, vocabulary {size}": "{text}: 훈련 윈도 {n}개, 어휘 사전 "
    "{size}개",
    "{n:,} parameters on {device}; an untrained loss is about {loss:.2f}": "파라미터 {n:,}개, "
    "{device}. 훈련하지 않은 모델의 손실은 약 {loss:.2f}",
    "epoch {epoch:3d}  train loss {train:.3f}  validation loss {val:.3f}": "에포크 {epoch:3d}  "
    "훈련 손실 {train:.3f}  검증 손실 {val:.3f}",
    "{n:,} tokens in {seconds:.1f} s: {speed:,.0f} tokens per second": "토큰 {n:,}개에 "
    "{seconds:.1f}초: 1초에 토큰 {speed:,.0f}개",
    "the validation loss was lowest after epoch {best} of {n}; model in {out}": "검증 손실은 {n} "
    "에포크 가운데 {best} 에포크 뒤에 가장 낮았습니다. 모델은 {out}에 있습니다",
    "{loss:.2f} is the loss of a choice among {among:,.0f} of the {size:,} tokens, all alike": ""
    "손실 {loss:.2f}는 토큰 {size:,}개 가운데 {among:,.0f}개에서 똑같은 확률로 고를 때 나옵니다",
    "after that it rose again, as it does when a model learns its text by heart: a longer text "
    "serves it better than more epochs": "그 뒤로는 다시 높아졌습니다. 모델이 텍스트를 외우면 "
    "이렇게 됩니다. "
    "에포크를 늘리기보다 더 긴 텍스트를 쓰는 편이 낫습니다",
    "stopped; with --resume it goes on after the last complete epoch": "멈추었습니다. --resume을 "
    "붙이면 "
    "마지막으로 마친 에포크에서 이어집니다",
    # ---- python -m ch05.gpt_generate
    "Write text.": "텍스트를 씁니다.",
    "a model folder, or course, smollm2, gpt2, … [%(default)s]": "모델 폴더, 또는 course, smollm2, "
    "gpt2, … [%(default)s]",
    "the text to go on from [%(default)r]": "이어 쓸 텍스트 [%(default)r]",
    "how many to write [%(default)s]": "쓸 토큰 수 [%(default)s]",
    "0: greedy [%(default)s]": "0: 그리디 [%(default)s]",
    "draw among the k likeliest [all]": "확률이 높은 k개에서 뽑습니다 [전부]",
    "draw among the likeliest that reach p [all]": "확률이 높은 순으로 합이 p에 이를 때까지 모아 "
    "뽑습니다 "
    "[전부]",
    "of the draw [%(default)s]": "뽑을 때 쓰는 시드 [%(default)s]",
    "cpu, cuda or mps [the best one here]": "cpu, cuda, mps [이 컴퓨터에서 가장 좋은 것]",
    "stopped": "멈추었습니다",
    # ---- python -m ch07.chat
    "Talk with a finetuned model.": "미세 튜닝한 모델과 대화합니다.",
    "a model folder, or course, smollm2 [%(default)s]": "모델 폴더, 또는 course, smollm2 "
    "[%(default)s]",
    "talk in the browser": "브라우저에서 대화합니다",
    "with --web: the address to listen on; another than this one needs the token that is printed "
    "[%(default)s]": "--web과 함께: 연결을 받을 주소. 다른 주소를 쓰면 출력되는 토큰이 있어야 "
    "접속할 수 "
    "있습니다 [%(default)s]",
    "with --web [%(default)s]": "--web과 함께 [%(default)s]",
    "there is no model in {folder}: python -m ch07.gpt_instruction_finetuning --out {folder} makes "
    "one in a few minutes": "{folder}에 모델이 없습니다. python -m ch07.gpt_instruction_finetuning "
    "--out {folder} 명령이 몇 분 만에 만듭니다",
    "Ask something, for example: What is the plural of goose? (/reset forgets, /quit ends)": ""
    "영어로 물어보세요. 예: What is the plural of goose? (/reset은 잊기, /quit은 끝내기)",
    "(forgotten)": "(잊었습니다)",
    "(there are two commands: /reset and /quit)": "(명령은 /reset과 /quit 두 가지입니다)",
    "(stopped)": "(멈추었습니다)",
    "(no answer)": "(답이 없습니다)",
    # ---- python -m playbook journey, and its page
    "From the course's corpora to a model that one talks with.": "강좌의 말뭉치에서 시작해 대화할 "
    "수 있는 모델까지 갑니다.",
    "the folder of the road [%(default)s]": "결과를 둘 폴더 [%(default)s]",
    "a small road: it shows the way and learns little": "짧은 길. 순서만 보여 주고 배우는 것은 "
    "적습니다",
    "of everything on the road, 0 to 9 [%(default)s]": "모든 단계의 시드, 0~9 [%(default)s]",
    "of the processor [as many as there are cores]": "CPU 스레드 수 [코어 수만큼]",
    "stage {i} of {n}: {name}": "{n}단계 중 {i}단계: {name}",
    "about {minutes:.0f} min left": "약 {minutes:.0f}분 남음",
    "{path} is damaged: take another --out folder, or delete that one": "{path} 파일이 "
    "손상되었습니다. --out에 다른 폴더를 쓰거나 그 폴더를 지우세요",
    "{out} holds a road with {differ}: give the same options, or another --out folder": "{out} "
    "폴더에 설정이 다른 결과가 있습니다({differ}). 같은 옵션을 쓰거나 --out에 다른 폴더를 쓰세요",
    "{out} holds something else: take another --out folder, or empty that one": "{out} 폴더에 다른 "
    "것이 있습니다. --out에 다른 폴더를 쓰거나 그 폴더를 비우세요",
    "{path} is damaged: delete it, and the same command makes it anew": "{path} 파일이 "
    "손상되었습니다. 지우고 같은 명령을 실행하면 다시 만듭니다",
    "{minutes:.0f} minutes by the clock, {cpu:.0f} minutes of the processor": "시계로 "
    "{minutes:.0f}분, CPU 시간 {cpu:.0f}분",
    "talk with it: python -m ch07.chat --model {folder}": "대화하기: python -m ch07.chat --model "
    "{folder}",
    "not more than chance: {names}": "우연보다 크게 나아지지 않은 단계: {names}",
    "stopped; the same command goes on": "멈추었습니다. 같은 명령을 실행하면 이어집니다",
    "stage": "단계",
    "measure": "측정값",
    "against": "비교 대상",
    "before": "전",
    "after": "후",
    "95% interval": "95% 구간",
    "band": "예상 범위",
    "verdict": "판정",
    "improves": "나아짐",
    "not more than chance": "우연보다 크지 않음",
    "in its band": "범위 안",
    "outside of its band": "범위 밖",
    "counted": "센 값",
    "tokenizer": "토크나이저",
    "pretraining": "사전 훈련",
    "instructions": "지시",
    "DPO, cost": "DPO의 대가",
    "GRPO, cost": "GRPO의 대가",
    "int8": "int8(8비트)",
    "int8, cost": "int8의 대가",
    "chat": "대화",
    "bytes for each token, held-out text": "떼어 둔 텍스트의 토큰당 바이트",
    "bits per byte, held-out documents": "떼어 둔 문서의 바이트당 비트",
    "likeliest answers right, chapter 7's test": "7장의 테스트에서 맞은 비율, 확률이 가장 높은 답",
    "right answer likelier than a wrong one": "맞은 답이 틀린 답보다 확률이 높은 비율",
    "drawn answers right": "맞은 비율, 확률대로 뽑은 답",
    "megabytes of the file": "파일 크기(MB)",
    "follow-up questions right in a talk": "대화에서 이어 묻는 질문에 맞은 비율",
    "plain bytes": "바이트 그대로",
    "counts of pairs of tokens": "토큰 쌍의 횟수",
    "the pretrained model, first line": "사전 훈련된 모델, 첫 줄",
    "the finetuned model": "미세 튜닝한 모델",
    "DPO's model": "DPO 모델",
    "16 bits": "16비트",
    "without the talk": "앞의 대화 없이",
    "no road has been gone here yet": "아직 간 길이 없습니다",
    "the road that came with the course": "강좌에 들어 있는 기록",
    "this machine's own road": "이 컴퓨터의 기록",
    "minutes by the clock": "시계로 잰 시간(분)",
    "minutes of the processor": "CPU 시간(분)",
    "processor": "프로세서",
    "threads": "스레드",
    "device": "장치",
    "precision": "정밀도",
    "tokens read": "읽은 토큰",
    "seed": "시드",
}


def language() -> str:
    """ko where COURSE_LANGUAGE or else the system says so, en for every other language."""
    names = ("COURSE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    said = (os.environ.get(name) for name in names)
    name = next(filter(None, said), None) or locale.getlocale()[0] or ""
    return "ko" if name.lower().startswith("ko") else "en"  # Windows says Korean_Korea


def say(english: str, **values: object) -> str:
    """A message in the machine's language, with these values in its braces."""
    text = KOREAN.get(english, english) if language() == "ko" else english
    return text.format(**values)


def translate_help(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Give a parser its description and the help of its options in the machine's language."""
    if language() == "ko":
        parser.description = KOREAN.get(parser.description, parser.description)
        for action in parser._actions:
            action.help = KOREAN.get(action.help, action.help)
    return parser


def padded(text: str, width: int) -> str:
    """The text with blanks behind it, as wide as so many letters; a Hangul syllable counts two."""
    n_wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return text + " " * (width - len(text) - n_wide)
