-- What both the site and the PDF need of pandoc: pictures with captions, warnings, no raw HTML.

local function is_html(element)
  return element.format:match("html")
end

function RawInline(element)
  if is_html(element) and not element.text:match('^<a id=') then
    return element.text:match("^<br") and pandoc.LineBreak() or {}
  end
end

function RawBlock(element)
  if is_html(element) then
    return {}
  end
end

-- A picture that stands alone is a figure; its title is the caption.
function Para(element)
  local image = element.content[1]
  if #element.content == 1 and image.t == "Image" then
    local caption = image.title ~= "" and { pandoc.Plain(pandoc.Str(image.title)) } or {}
    image.title = ""
    return pandoc.Figure({ pandoc.Plain({ image }) }, { long = caption })
  end
end

function Link(element)
  local page = element.target:match("^#([%w_-]+)$")
  if page and FORMAT == "typst" then
    element.target = "#page-" .. page
    return element
  end
  local name, rest = element.target:match("^([%w_-]+)%.md(.*)$")
  if name and FORMAT:match("html") then
    element.target = name .. ".html" .. rest
    return element
  end
end

-- In the PDF, what is short stays on one page.
local function together(element, n_lines)
  if FORMAT == "typst" and n_lines <= 45 then
    return {
      pandoc.RawBlock("typst", "#block(breakable: false)["),
      element,
      pandoc.RawBlock("typst", "]"),
    }
  end
  return element
end

function CodeBlock(element)
  local _, n_breaks = element.text:gsub("\n", "")
  return together(element, n_breaks + 1)
end

function Table(element)
  local titled = false
  for _, row in ipairs(element.head.rows) do
    for _, cell in ipairs(row.cells) do
      titled = titled or #cell.contents > 0
    end
  end
  if not titled then
    element.head.rows = {}
  end
  return together(element, #element.bodies[1].body)
end

-- A list of tasks needs no bullets beside its boxes; HTML has a class for it.
function BulletList(element)
  local first = element.content[1][1]
  local word = first and first.content and first.content[1]
  if FORMAT == "typst" and word and (word.text == "☐" or word.text == "☒") then
    return {
      pandoc.RawBlock("typst", "#[#set list(marker: none, indent: 0pt)"),
      element,
      pandoc.RawBlock("typst", "]"),
    }
  end
end

function Div(element)
  if element.classes:includes("title") then
    return {}
  end
  if element.classes:includes("warning") and FORMAT == "typst" then
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#warning[") })
    blocks:extend(element.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end
end

-- In the text of all pages, the anchor before a page's title becomes the title's own name.
local function name_titles(doc)
  local blocks, anchor = pandoc.Blocks({}), nil
  for _, block in ipairs(doc.blocks) do
    local first = block.t == "Para" and block.content[1]
    local found = first and first.t == "RawInline" and first.text:match('^<a id="([%w_-]+)"')
    if found then
      anchor = found
    else
      if block.t == "Header" and anchor then
        block.identifier, anchor = "page-" .. anchor, nil
      end
      blocks:insert(block)
    end
  end
  doc.blocks = blocks
  return doc
end

return {
  { RawInline = RawInline, RawBlock = RawBlock, Para = Para, Link = Link, Div = Div },
  { CodeBlock = CodeBlock, Table = Table, BulletList = BulletList },
  { Pandoc = name_titles },
}
