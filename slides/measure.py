"""Open decks in a headless Chromium as a call shows them, and measure every slide.

    python -m slides.measure ch04                       # what is wrong with its slides, or nothing
    python -m slides.measure --sheets DIR ch04          # also save a picture of all its slides
    python -m slides.measure --pictures DIR ch04        # also save each slide, with --quality 25
                                                        # as blurred as in a call

A slide is right if all of it lies in its frame, nothing of it scrolls or is cut off, prose has at
least 24 pixels, code and tables 18, the type in pictures as well, and all text a contrast of at
least 4.5 to what lies behind it. Needs Chromium; decks must have been built.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course.browser import Browser, program
from course.lessons import chapters
from course.terminal import replace_unprintable
from playbook.tools import Missing
from slides.deck import deck_path
from slides.room import HEIGHT, SMALLEST, WIDTH
from slides.words import say

CONTRAST = 4.5
MOST = 3  # sentences about one slide: what follows is mostly the same

# Says in words what is wrong with the slide that is shown.
MEASURE = """
(limits => {
  const wrong = [], slide = Reveal.getCurrentSlide(), frame = slide.querySelector(".frame");
  const room = frame.querySelector(".room").getBoundingClientRect();
  const short = text => text.trim().replace(/\\s+/g, " ").slice(0, 40);
  const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length == 3 || colour[3] == 1) return colour;
    }
    return [255, 255, 255];
  };
  const outside = (box, of) => box.left < of.left - 1 || box.right > of.right + 1
    || box.top < of.top - 1 || box.bottom > of.bottom + 1;
  for (const element of frame.querySelectorAll("*")) {
    if (element.closest("math") && element.tagName != "math") continue;
    if (getComputedStyle(element).display == "inline") continue;  // its letters are looked at below
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    const foot = element.closest(".foot");
    const limit = foot ? frame.getBoundingClientRect() : room;
    if (outside(box, limit)) {
      const by = Math.round(Math.max(box.right - limit.right, box.bottom - limit.bottom));
      wrong.push(`${element.tagName.toLowerCase()} leaves the frame by ${by} px: ` +
                 short(element.textContent));
    }
    if (style.display != "inline" && (element.scrollWidth > element.clientWidth + 1
        || element.scrollHeight > element.clientHeight + 1) && element.clientWidth
        && style.overflow != "visible")
      wrong.push(`${element.tagName.toLowerCase()} scrolls: ${short(element.textContent)}`);
    if (element.tagName == "IMG") {
      if (!element.complete || !element.naturalWidth) wrong.push("a picture is missing");
      const type = Number(element.dataset.type);
      if (type < limits.code - 0.5) wrong.push(`type of ${type} px in a picture`);
    }
  }
  const walker = document.createTreeWalker(frame, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest("annotation")) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    // Word by word: a blank may hang over the end of a line. A word's box is taller than its line.
    const line = {left: room.left, right: room.right, top: room.top - 8, bottom: room.bottom + 8};
    const range = document.createRange();
    if (!element.closest(".foot, math"))
      for (const word of node.textContent.matchAll(/\\S+/g)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        if (outside(range.getBoundingClientRect(), line))
          wrong.push(`text leaves the frame: ${short(node.textContent)}`);
      }
    const isSmall = element.closest("pre, code, table.output, .foot, math");
    if (size < (isSmall ? limits.code : limits.prose) - 0.1 && !element.closest("msup, msub"))
      wrong.push(`type of ${size} px: ${short(node.textContent)}`);
    const a = light(rgb(style.color)), b = light(behind(element));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < limits.contrast)
      wrong.push(`contrast of ${contrast.toFixed(1)}: ${short(node.textContent)}`);
  }
  const boxes = [...frame.querySelectorAll(".room > *")].map(e => e.getBoundingClientRect());
  const foot = [...frame.querySelectorAll(".foot > *")].map(e => e.getBoundingClientRect());
  for (const image of frame.querySelectorAll("img")) {
    const box = image.getBoundingClientRect();
    if (foot.some(f => f.width && f.left < box.right && f.right > box.left && f.top < box.bottom))
      wrong.push("a picture lies on the foot");
  }
  for (let i = 1; i < boxes.length; i++)
    if (boxes[i].top < boxes[i - 1].bottom - 1) wrong.push("two blocks lie on each other");
  return [...new Set(wrong)];
})
"""


# Puts all slides side by side, at half their size, and gives the size of the whole.
SHEET = """
(columns => {
  const frames = [...document.querySelectorAll(".frame")], grid = document.createElement("div");
  grid.className = "reveal";
  grid.style = `display: grid; grid-template-columns: repeat(${columns}, 640px); gap: 6px;`
    + "width: max-content; height: auto; overflow: visible; background: #888888";
  for (const frame of frames) {
    const box = document.createElement("div");
    box.style = "width: 640px; height: 360px; overflow: hidden; background: white";
    frame.style.transform = "scale(0.5)";
    frame.style.transformOrigin = "0 0";
    frame.querySelectorAll(".fragment").forEach(f => f.classList.remove("fragment"));
    box.append(frame);
    grid.append(box);
  }
  document.body.replaceChildren(grid);
  document.documentElement.style.overflow = document.body.style.overflow = "visible";
  return [grid.scrollWidth, grid.scrollHeight];
})
"""
COLUMNS = 4


@contextmanager
def browser() -> Iterator[Browser]:
    """Raises: Missing without Chromium."""
    found = program()
    if found is None:
        raise Missing(say("no chromium"))
    # Chromium may still write into its folder when it is told to end.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        window = Browser(found, Path(folder))
        try:
            yield window
        finally:
            window.close()


def measured(
    window: Browser, path: Path, pictures: Path | None = None, quality: int | None = None
) -> dict[str, list[str]]:
    """What is wrong with each slide of a deck: number of the slide -> sentences.

    With pictures, a folder, each slide is saved there: a PNG, or a JPEG of this quality.
    """
    window.open(path.resolve().as_uri(), WIDTH, HEIGHT)
    window.ask("document.fonts.ready.then(() => 0)")
    window.ask("Reveal.configure({fragments: false})")
    limits = json.dumps({**SMALLEST, "contrast": CONTRAST})
    window.ask(f"window.measure = () => {MEASURE}({limits}), 0")
    found = {}
    for h, v in window.ask("Reveal.getSlides().map(Reveal.getIndices).map(at => [at.h, at.v])"):
        wrong = window.ask(f"Reveal.slide({h}, {v}), measure()")
        found[f"{h + 1}.{v + 1}"] = wrong[:MOST]
        if pictures:
            suffix = "jpg" if quality else "png"
            window.picture(pictures / f"{path.stem}-{h + 1:02}.{v + 1:02}.{suffix}", quality)
    if complaints := window.complaints():
        found["deck"] = [json.dumps(complaint)[:200] for complaint in complaints]
    return found


def save_sheet(window: Browser, path: Path) -> None:
    """Save a picture of all slides of the deck that is open, which cannot be shown after it."""
    width, height = window.ask(f"{SHEET}({COLUMNS})")
    window.tell(
        "Emulation.setDeviceMetricsOverride",
        **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    window.picture(path, quality=80)


def faults(
    names: list[str],
    pictures: Path | None = None,
    quality: int | None = None,
    sheets: Path | None = None,
) -> list[str]:
    """A sentence for each fault of these chapters' decks. Raises: Missing without Chromium."""
    sentences = []
    with browser() as window:
        for name in names:
            for number, wrong in measured(window, deck_path(name), pictures, quality).items():
                sentences += [say("fault", chapter=name, slide=number, what=w) for w in wrong]
            if sheets:
                save_sheet(window, sheets / f"{name}.jpg")
    return sentences


def main() -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(prog="python -m slides.measure", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="ch03, appendix-E, ...")
    parser.add_argument("--sheets", type=Path, help="a folder for one picture of each deck")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each slide")
    parser.add_argument("--quality", type=int, help="save JPEG of this quality, as calls do")
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    names = arguments.chapters or [name for name in chapters() if deck_path(name).exists()]
    if absent := [name for name in names if not deck_path(name).exists()]:
        print(say("no deck", chapter=absent[0]), file=sys.stderr)
        return 2
    try:
        found = faults(names, arguments.pictures, arguments.quality, arguments.sheets)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(found) or say("all fit", names=", ".join(names)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
