from svg import S
B,O,G,X="#2f6fb0","#d9822b","#3a8f5c","#9aa5b1"
s=S(760,330,"From drawn answers to a better model")
s.text(24,40,"one question",14,"#52606d"); s.box(24,52,170,50,"#e8f0f8",B)
s.text(109,72,"Which word follows",13,"#1f2933","middle"); s.text(109,90,"hat?   cup, hat, kite",13,"#1f2933","middle")
s.text(248,40,"answers that the model draws",14,"#52606d")
ys=[56,92,128,164]
for y,(t,ok) in zip(ys,[("kite",1),("hat",0),("kite",1),("kitten",0)]):
    s.box(248,y,110,28,"#e6f4ea" if ok else "#fdf1e3",G if ok else O)
    s.text(303,y+19,t,14,"#1f2933","middle",mono=True)
    s.text(372,y+19,"right" if ok else "wrong",13,G if ok else O)
s.arrow((196,77),(222,77),(222,124),(244,124))
s.text(248,216,"a program checks each of them",13,"#52606d")
rows=[("right ones alone","finetune again",48),("pairs, right before wrong","DPO",112),("pairs, right before wrong","reward model, best of n",176),("every answer with its reward","GRPO",240)]
for a,b,y in rows:
    s.box(500,y,236,52,"#ffffff",X)
    s.text(618,y+21,b,15,"#1f2933","middle","bold"); s.text(618,y+40,a,13,"#52606d","middle")
    s.arrow((426,124),(456,124),(474,y+26),(497,y+26))
s.box(24,240,400,60,"#f1f3f5",X)
s.text(224,264,"The reference, a frozen copy, says how far",14,"#1f2933","middle")
s.text(224,284,"the model has moved away: the KL.",14,"#1f2933","middle")
s.save("/tmp/wt/prefs/ch07/bonus/figures/preferences.svg")
