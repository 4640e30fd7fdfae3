// What axe-core does not look at, or takes minutes for: each function returns how much it saw, and what is wrong.
globalThis.accessibility = {
  // Everything that can be unfolded is, and every card of a lesson is shown.
  unfold() {
    for (const one of document.querySelectorAll("details")) one.open = true;
    for (const one of document.querySelectorAll(".stop")) one.classList.add("current", "answered");
    dispatchEvent(new Event("resize"));
    return new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done))));
  },

  // Texts whose contrast is below that of WCAG AA.
  contrast() {
    const parsed = (colour) => {
      const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(colour);
      if (!found) throw new Error(`a colour of another form: ${colour}`);
      return [...found.slice(1, 4).map(Number), found[4] === undefined ? 1 : Number(found[4])];
    };
    const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
    const ground = (element) => {
      if (!element) return [255, 255, 255, 1];
      const rect = element.ownerSVGElement && element.parentElement.querySelector(":scope > rect");
      const style = getComputedStyle(rect || element), own = parsed(rect ? style.fill : style.backgroundColor);
      return own[3] === 1 ? own : over(own, ground(element.parentElement));
    };
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const luminance = (colour) => {
      const [red, green, blue] = colour.map((part) => linear(part / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = new Set();
    let seen = 0;
    while (texts.nextNode()) {
      const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
      if (!text || element.closest("script, style, :disabled, .hidden, .skip")) continue;
      if (!element.checkVisibility()) continue;
      seen += 1;
      const style = getComputedStyle(element), below = ground(element);
      const above = over(parsed(element.ownerSVGElement ? style.fill : style.color), below);
      const [low, high] = [luminance(above), luminance(below)].sort((one, other) => one - other);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.add(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 40)}, in ${shown(element)}`);
    }
    return [seen, [...found]];
  },

  // What takes the focus and does not show it, or is passed over by Tab.
  focus() {
    const takes = "a[href], button, input, select, textarea, summary, [tabindex='0']", found = [];
    const able = [...document.querySelectorAll(takes)].filter((one) => one.checkVisibility() && !one.disabled);
    for (const one of able) {
      one.focus({ focusVisible: true, preventScroll: true });
      const style = getComputedStyle(one), ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      if (document.activeElement !== one) found.push(`cannot be focused: ${shown(one)}`);
      else if (!ring) found.push(`focus cannot be seen: ${shown(one)}`);
      else if (one.tabIndex < 0) found.push(`passed over by Tab: ${shown(one)}`);
    }
    document.activeElement.blur();
    return [able.length, found];
  },

  // Tables without a header, but for those of one number, and headers without a text.
  tables() {
    const tables = [...document.querySelectorAll("table")];
    const bare = tables.filter((one) => !one.querySelector("th") && one.querySelectorAll("td").length > 1);
    const empty = [...document.querySelectorAll("th")].filter((one) => !one.textContent.trim());
    const named = [...bare.map((one) => `no header: ${shown(one)}`), ...empty.map((one) => `empty: ${shown(one.parentElement)}`)];
    return [1, named];
  },
};

function shown(element) {
  return element.outerHTML.slice(0, 100);
}
