from svg import S
B,O,G="#2f6fb0","#d9822b","#3a8f5c"
s=S(760,330,"A call, its result, and the answer")
s.box(20,24,410,284,"#e8f0f8",B)
s.text(36,48,"what the model reads and writes",14,B,weight="bold")
rows=[("Question:",None),("What is 37 plus 48?",None),("Answer:",None),("calculate: 37 + 48","w"),("Result:",None),("85","r"),("Answer:",None),("37 plus 48 is 85.","w")]
y=78
for t,k in rows:
    if k=="w": s.box(34,y-19,380,26,"#fdf1e3",O)
    if k=="r": s.box(34,y-19,380,26,"#e6f4ea",G)
    s.text(44,y,t,15,mono=True); y+=30
s.box(560,150,176,84,"#e6f4ea",G)
s.text(648,186,"the calculator",16,G,"middle","bold")
s.text(648,210,"a program",14,"#52606d","middle")
s.arrow((416,163),(648,163) if False else (480,163),(520,176),(557,176))
s.arrow((557,214),(520,214),(480,223),(418,223))
s.text(486,152,"the loop runs it",13,"#52606d","middle")
s.text(486,248,"and puts it in",13,"#52606d","middle")
s.box(470,40,18,18,"#fdf1e3",O); s.text(496,54,"written by the model, and learned",14)
s.box(470,68,18,18,"#e6f4ea",G); s.text(496,82,"written by the tool, never learned",14)
s.text(470,290,"The second line that the model writes",14,"#52606d")
s.text(470,308,"is no call, so it is the answer.",14,"#52606d")
s.save("/tmp/wt/prefs/ch07/bonus/figures/tool-loop.svg")
