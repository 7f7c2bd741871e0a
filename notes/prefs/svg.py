F='font-family="Helvetica, Arial, sans-serif"'
class S:
    def __init__(s,w,h,title):
        s.w,s.h=w,h
        s.o=[f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">',f'<title>{title}</title>',
        '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#1f2933"/></marker></defs>',
        f'<rect width="{w}" height="{h}" rx="12" fill="#ffffff"/>']
    def box(s,x,y,w,h,fill="#ffffff",stroke="#9aa5b1"):
        s.o.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>')
    def text(s,x,y,t,size=14,fill="#1f2933",anchor="start",weight="normal",mono=False):
        f='font-family="DejaVu Sans Mono, Menlo, Consolas, monospace"' if mono else F
        s.o.append(f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}" {f}>{t}</text>')
    def arrow(s,*pts):
        d="M"+"L".join(f"{x} {y}" for x,y in pts)
        s.o.append(f'<path d="{d}" fill="none" stroke="#1f2933" stroke-width="1.6" marker-end="url(#a)"/>')
    def save(s,p):
        open(p,"w").write("\n".join(s.o+["</svg>"])+"\n")
