"""What would keep a reader from a page: axe-core's rules, the contrast of every text, and where the keyboard gets.

axe-core looks at contrast too, and takes minutes for the thousands of texts of a lesson; here that takes a second.
"""

from __future__ import annotations

from typing import Any

OPEN = """() => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (const one of document.querySelectorAll(".stop")) one.classList.add("current", "answered");
  dispatchEvent(new Event("resize"));
}"""
"""Everything that can be unfolded is, and every card of a lesson is shown."""

CONTRAST = """() => {
  const parsed = (colour) => {
    const found = /^rgba?\\\\(([\\\\d.]+), ([\\\\d.]+), ([\\\\d.]+)(?:, ([\\\\d.]+))?\\\\)$/.exec(colour);
    if (!found) throw new Error(`a colour of another form: ${colour}`);
    return [Number(found[1]), Number(found[2]), Number(found[3]), found[4] === undefined ? 1 : Number(found[4])];
  };
  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const rect = element.ownerSVGElement && element.parentElement.querySelector(":scope > rect");
    const style = getComputedStyle(rect || element), own = parsed(rect ? style.fill : style.backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) => part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set();
  let seen = 0;
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
    if (!text || element.closest("script, style, :disabled, .hidden, .skip") || !element.checkVisibility()) continue;
    seen += 1;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const below = ground(element), above = over(parsed(element.ownerSVGElement ? style.fill : style.color), below);
    const [low, high] = [luminance(above), luminance(below)].sort((one, other) => one - other);
    const ratio = (high + 0.05) / (low + 0.05), needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (ratio < needed) found.add(`contrast ${ratio.toFixed(2)}: <${element.tagName} class="${element.className}"> ${text.slice(0, 40)}`);
  }
  return [seen, [...found]];
}""".replace("\\\\", "\\")
"""How many texts are seen, and those whose contrast is below that of WCAG AA."""

FOCUS = """() => {
  const found = [];
  const all = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const able = [...document.querySelectorAll(all)].filter((one) => one.checkVisibility() && !one.disabled);
  for (const one of able) {
    one.focus({ focusVisible: true, preventScroll: true });
    const style = getComputedStyle(one), ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    if (document.activeElement !== one) found.push(`cannot be focused: ${one.outerHTML.slice(0, 80)}`);
    else if (!ring) found.push(`focus cannot be seen: ${one.outerHTML.slice(0, 80)}`);
    else if (one.tabIndex < 0) found.push(`not reached by Tab: ${one.outerHTML.slice(0, 80)}`);
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("th") && table.querySelectorAll("td").length > 1) found.push(`no header: ${table.outerHTML.slice(0, 80)}`);
  }
  document.activeElement.blur();
  return [able.length, found];
}"""
"""How many parts take the focus, and those that do not show it or are passed over; tables without a header."""

RULES = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}


def problems(page: Any) -> list[str]:
    """What is wrong with a page for somebody, everything on it unfolded; each a line."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(OPEN)
    violations = Axe().run(page, options=RULES).response["violations"]
    found = [
        f"{one['id']}: {one['help']}: {node['html'][:120]} {node['target']}" for one in violations for node in one["nodes"]
    ]
    for looked_for in (CONTRAST, FOCUS):
        seen, wrong = page.evaluate(looked_for)
        assert seen
        found += wrong
    return found
