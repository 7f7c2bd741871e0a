import nbformat,sys
nb=nbformat.read(sys.argv[1],4)
for c in nb.cells:
    if c.cell_type!="code": continue
    t="".join((o.get("text","") or o.get("data",{}).get("text/plain","")) for o in c.outputs)
    if t: print("##",c.id); print(t[:2400])
