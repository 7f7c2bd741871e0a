"""mergepo.py ROOT UNIT...: resolve ko.po conflicts in a merge in progress: union of both sides, by name and English."""
import subprocess, sys, tempfile, os
root = sys.argv[1]; sys.path.insert(0, root); os.chdir(root)
from pathlib import Path
from korean.catalogue import read_catalogue, updated, write_catalogue
from korean.texts import texts_of, catalogue_path
for unit in sys.argv[2:]:
    path = catalogue_path(unit, Path(root)); rel = path.relative_to(root).as_posix()
    sides = []
    for stage in (1, 2, 3):
        out = subprocess.run(["git", "show", f":{stage}:{rel}"], capture_output=True)
        f = Path(tempfile.mkstemp(suffix=".po")[1])
        if out.returncode: sides.append({}); continue
        f.write_bytes(out.stdout); sides.append(read_catalogue(f))
    base, ours, theirs = sides
    known, texts = {}, texts_of(unit, Path(root))
    for side in (ours, theirs):
        for c, entry in side.items(): known.setdefault(c, entry)
    english_of = {}
    for side in (ours, theirs):
        for e, k, m in side.values():
            if k and not m: english_of.setdefault(e, []).append(k)
    for text in texts:
        c, found = text.context, []
        for s in (theirs, ours):
            e, k, m = s.get(c, ("", "", ""))
            if e == text.english and k and not m: found.append(k)
        if not found: continue
        pick = found[0]
        if len(set(found)) == 2:
            b = base.get(c, ("", "", ""))[1]
            if b == found[0]: pick = found[1]
            elif b != found[1]: print("both changed", unit, c)
        known[c] = (text.english, pick, "")
    write_catalogue(updated(texts, known), path)
    print(unit, len(texts))
