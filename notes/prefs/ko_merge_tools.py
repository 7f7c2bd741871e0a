import yaml,polib
y=yaml.safe_load(open("/tmp/me/pf/ko_tools.yaml"))
lab=["호출, 결과, 그리고 답","모델이 읽고 쓰는 것","Question:","What is 37 plus 48?","Answer:","calculate: 37 + 48","Result:","Answer:","37 plus 48 is 85.","계산기","프로그램","반복문이 실행하고","결과를 넣습니다","모델이 쓰고, 학습합니다","도구가 쓰고, 학습하지 않습니다","모델이 두 번째로 쓴 줄은 호출이","아니므로 답입니다."]
for i,t in enumerate(lab,1): y[f"bonus/tool-loop.svg {i}"]=t
po=polib.pofile("ch07/ko.po")
e=next(e for e in po if e.msgctxt=="ch07-errors-meaning")
k=e.msgstr
if "tools.ipynb" not in k:
    k=k.replace("더할 줄 아는 모델이라면 맞혔을 것입니다.","더할 줄 아는 모델이라면 맞혔을 것입니다. (`bonus/tools.ipynb`에서는 모델이 계산기를 호출합니다.)")
    assert "tools.ipynb" in k
y["ch07-errors-meaning"]=k
yaml.safe_dump(y,open("/tmp/me/pf/m_ch07.yaml","w"),allow_unicode=True,width=10000)
po=polib.pofile("ko.po")
e=next(e for e in po if e.msgctxt and e.msgctxt.endswith("empty file 7"))
k=e.msgstr; row="| [7 도구를 호출하는 모델](ch07/bonus/tools.ipynb) | 45분 | 아무것도 실행하지 않는 계산기, 사실을 적은 표, 둘을 잇는 반복문, 알려 주지 않은 덧셈, 계획, 메모리, 끝나지 않는 반복과 거짓말과 끼워 넣은 명령 |\n"
lines=k.split("\n"); 
if not any("ch07/bonus/tools.ipynb" in l for l in lines):
    i=next(i for i,l in enumerate(lines) if "what_finetuning_changes" in l); lines.insert(i+1,row.strip("\n"))
yaml.safe_dump({e.msgctxt:"\n".join(lines)},open("/tmp/me/pf/m_readme.yaml","w"),allow_unicode=True,width=10000)
