"use strict";

/** Elements and what is in them. Texts become text nodes: no text here can become markup. */
const Elements = (() => {
  function make(tag, { className, text, children = [], ...attributes } = {}) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  /** A bar filled to `part`, from 0 to 1. As SVG: attributes need no style, which the policy bars. */
  function bar(part) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "bar");
    svg.setAttribute("aria-hidden", "true");
    for (const width of [1, part]) {
      const rect = document.createElementNS(svg.namespaceURI, "rect");
      rect.setAttribute("width", `${Math.max(100 * width, 0.6)}%`);
      rect.setAttribute("height", "6");
      rect.setAttribute("rx", "3");
      svg.append(rect);
    }
    return svg;
  }

  /** Put the card's own words where there is nothing to show. */
  function showEmpty(card) {
    for (const child of [...card.children]) {
      if (!child.matches("h3")) child.remove();
    }
    card.append(make("p", { className: "empty", text: card.dataset.empty }));
  }

  return { make, bar, showEmpty };
})();
