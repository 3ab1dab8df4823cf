// What the tests ask of the page, evaluated in it.
({
  // Contrast of WCAG 2.2: text against the nearest colour behind it; 3 to 1 for large text
  faintText: () => {
    const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const parts = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const over = (top, below) => {
      const a = top[3] ?? 1;
      return [0, 1, 2].map((i) => a * top[i] + (1 - a) * below[i]);
    };
    const behind = (element) => {
      if (element === null) return [255, 255, 255];
      const colour = parts(getComputedStyle(element).backgroundColor);
      return (colour[3] ?? 1) === 1 ? colour : over(colour, behind(element.parentElement));
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.data.trim();
      if (!text || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(":disabled, .ol-viewport, [aria-hidden=true]")) continue;
      const style = getComputedStyle(element);
      const ground = behind(element);
      const pair = [light(over(parts(style.color), ground)), light(ground)].sort((a, b) => b - a);
      const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
      const large = parseFloat(style.fontSize) >= 24;
      if (ratio < (large ? 3 : 4.5)) faint.push(`${text}: ${ratio.toFixed(2)}`);
    }
    return faint;
  },

  // What can be worked must have a name; labels, own text, or said so
  nameless: () => [...document.querySelectorAll("button, input, select, textarea, [tabindex='0']")]
    .filter((e) => e.checkVisibility())
    .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
      || e.labels?.length || e.textContent.trim() || e.title))
    .map((e) => e.outerHTML.slice(0, 120)),

  // Text of these that reaches beyond a box which cuts it off
  cutText: (selector) => [...document.querySelectorAll(selector)]
    .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
    .map((e) => e.textContent.trim()),
})
