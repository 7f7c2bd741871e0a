import sys
s=int(sys.argv[1]); sys.argv=["x"]
from ch07.bonus.preferences import *
torch.set_num_threads(1)
d=choose_device(None); pr=choose_precision(d)
import os
entries=make_instructions()
if os.path.exists("/tmp/me/pref_start.pt"):
    model,tok=load_pretrained("course"); model.load_state_dict(torch.load("/tmp/me/pref_start.pt")); model.eval()
else:
    model,tok=finetuned(entries,d,pr); torch.save(model.state_dict(),"/tmp/me/pref_start.pt")
p=Path(f"/tmp/me/pref_seed{s}.json"); rows=read_record(p); known={r["row"] for r in rows}
st=Study(model,tok,other_questions(entries),s,pr)
for way in ROWS:
    if way in known: continue
    t=time.perf_counter(); row={"row":way,"seed":s,**st.measure(way)}
    rows.append(row|{"seconds":round(time.perf_counter()-t)}); write_rows(p,{"steps":STEPS,"rates":RATES,"questions":N_TAUGHT},rows); print(way,rows[-1]["seconds"],time.process_time(),flush=True)
