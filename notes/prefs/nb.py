"""Small helper: cells of a notebook, definitions taken from the module."""
import ast, nbformat
from nbformat.v4 import new_notebook, new_markdown_cell, new_code_cell
class NB:
    def __init__(s, module, prefix):
        s.src=open(module).read(); s.lines=s.src.splitlines(); s.prefix=prefix; s.cells=[]
        s.where={}
        for n in ast.parse(s.src).body:
            names=[]
            if isinstance(n,(ast.FunctionDef,ast.ClassDef)): names=[n.name]; first=min([n.lineno]+[d.lineno for d in n.decorator_list])
            elif isinstance(n,ast.Assign):
                first=n.lineno
                for t in n.targets:
                    names+= [t.id] if isinstance(t,ast.Name) else [e.id for e in t.elts]
            else: continue
            end=n.end_lineno
            text="\n".join(s.lines[first-1:end])
            for x in names: s.where[x]=(text,isinstance(n,ast.Assign),first)
    def d(s,*names):
        out="";prev=None;seen=set()
        for x in names:
            t,isa,first=s.where[x]
            if t in seen: continue
            seen.add(t)
            # comment line directly above
            i=first-2
            if isa and s.lines[i].startswith("# ") and not s.lines[i].startswith("# ---"): t=s.lines[i]+"\n"+t
            sep="" if prev is None else ("\n" if (prev and isa) else "\n\n\n")
            out+=sep+t; prev=isa
        return out
    def md(s,i,text,kind="fragment",**m):
        s.cells.append(new_markdown_cell(text.strip("\n"),id=f"{s.prefix}-{i}",metadata={"slideshow":{"slide_type":kind},**m}))
    def code(s,i,text,kind="fragment",tags=(),hide=False):
        m={"slideshow":{"slide_type":kind}}
        if tags: m["tags"]=list(tags)
        if hide: m["jupyter"]={"outputs_hidden":True}
        s.cells.append(new_code_cell(text.strip("\n"),id=f"{s.prefix}-{i}",metadata=m))
    def save(s,path):
        nb=new_notebook(cells=s.cells,metadata={"kernelspec":{"display_name":"Python 3 (ipykernel)","language":"python","name":"python3"},"language_info":{"name":"python"}})
        nb.nbformat_minor=5
        nbformat.validate(nb); nbformat.write(nb,path)
