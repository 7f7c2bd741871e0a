# page.sh ROOT NOTEBOOK NAME: the notebook as PNG pieces in /tmp/me/shots/NAME-*.png
mkdir -p /tmp/me/shots; cd $1; .venv/bin/python -m nbconvert --to html --output-dir /tmp/me/shots --output $3.html $2 >/dev/null 2>&1
d=$(dirname $2); rm -rf /tmp/me/shots/figures; [ -d $d/figures ] && cp -r $d/figures /tmp/me/shots/
cd /tmp/me/shots; timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run --user-data-dir=/tmp/me/chr$$ --window-size=1100,${4:-14000} --hide-scrollbars --virtual-time-budget=8000 --screenshot=/tmp/me/shots/$3.png file:///tmp/me/shots/$3.html >/dev/null 2>&1
/work/main/.venv/bin/python - $3 <<'PY'
import sys
from PIL import Image
im = Image.open(f"/tmp/me/shots/{sys.argv[1]}.png"); w, h = im.size
for i, y in enumerate(range(0, h, 2300)):
    im.crop((0, y, w, min(h, y + 2300))).save(f"/tmp/me/shots/{sys.argv[1]}-{i}.png")
print(w, h)
PY
