# shot.sh file.svg out.png w h
/usr/bin/chromium --headless --no-sandbox --disable-gpu --disable-background-networking --window-size=$3,$4 --screenshot=$2 file://$1 >/dev/null 2>&1
