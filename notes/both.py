"""both.py FILE...: keep both sides of every conflict, ours first."""
import re, sys
for p in sys.argv[1:]:
    s = open(p, encoding="utf-8").read()
    s = re.sub(r"<<<<<<< [^\n]*\n(.*?)(?:\|\|\|\|\|\|\| [^\n]*\n.*?)?=======\n(.*?)>>>>>>> [^\n]*\n", lambda m: m[1] + ("\n" if p.endswith(".md") and m[1].strip() and m[2].strip() else "") + m[2], s, flags=re.S)
    open(p, "w", encoding="utf-8").write(s)
