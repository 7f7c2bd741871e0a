import sys,time,pickle
from ch07.bonus.preferences import *
torch.set_num_threads(1)
m,tok=load_pretrained("/tmp/me/sft0"); m.eval()
end=tok.special_tokens[END_OF_TEXT]
t,a=pickle.load(open("/tmp/me/samples0.pkl","rb")); G=6
P=prompts_of(t,tok)
pairs=[];good=[]
rng=Random(0)
for i,e in enumerate(t):
    mine={tuple(x) for x in a[i*G:(i+1)*G]}
    ok=[x for x in mine if text_of(list(x),tok)==e["output"] and x[-1]==end]; bad=[x for x in mine if text_of(list(x),tok)!=e["output"]]
    if ok: good.append((P[i]+list(ok[0]),len(P[i])))
    if ok and bad:
        for b in rng.sample(bad,min(2,len(bad))): pairs.append(((P[i]+list(ok[0]),len(P[i])),(P[i]+list(b),len(P[i]))))
print(len(t),"pairs",len(pairs),"good",len(good))
ev=make_tasks(200,"test")
def ev_(name,pol):
    r=respond(pol,tok,ev,20); ex=sum(which_right(ev,r)["all"])/len(ev)
    g=torch.Generator().manual_seed(1)
    pe=prompts_of(ev,tok); an=sample(pol,pe,end,g)
    sa=sum(text_of(x,tok)==e["output"] for x,e in zip(an,ev))/len(ev)
    items=[(p+x,len(p)) for p,x in zip(pe,an)]
    kl=(answer_log_probs(pol,items,end)-answer_log_probs(m,items,end)).mean().item()
    print(f"{name}: greedy {ex:.3f} sampled {sa:.3f} KL {kl:.2f} len {sum(map(len,an))/len(an):.1f}",flush=True)
ev_("sft",m)
for what in sys.argv[1:]:
    c=time.process_time()
    k,*v=what.split(":"); v=[float(x) for x in v]
    if k=="dpo": pol,l=train_dpo(m,pairs,end,v[0],int(v[1]),v[2],0,precision="bfloat16")
    if k=="mean": pol,l=train_dpo(m,pairs,end,v[0],int(v[1]),v[2],0,averaged=True,precision="bfloat16")
    if k=="rs": pol,l=train_likelier(m,good,end,int(v[0]),v[1],0,precision="bfloat16")
    if k=="gold": 
        pol,l=train_likelier(m,InstructionDataset(t,tok,256).items,end,int(v[0]),v[1],0,precision="bfloat16")
    if k=="grpo":
        pol,l=train_grpo(m,t,tok,lambda e,x: float(x==e["output"]),int(v[0]),v[1],0,n_questions=8,precision="bfloat16")
    if k=="long":
        pol,l=train_grpo(m,t,tok,likes_length,int(v[0]),v[1],0,n_questions=8,precision="bfloat16")
    if k=="hack":
        pol,l=train_grpo(m,t,tok,lambda e,x: float(e["output"] in x),int(v[0]),v[1],0,n_questions=8,beta=0.0,precision="bfloat16")
        g=torch.Generator().manual_seed(1); an=sample(pol,prompts_of(ev,tok),end,g)
        print("contains",sum(e["output"] in text_of(x,tok) for x,e in zip(an,ev))/len(ev), [ (e["output"],text_of(x,tok)) for x,e in zip(an,ev)][:8])
    print(what,[round(x,3) for x in l[::6]],round(time.process_time()-c,1),"s")
    ev_(what,pol)
