"use strict";

/** Builds elements. Texts become text nodes, so that no text can become markup. */
const Elements = (() => {
  function make(tag, { className, text, children = [], ...attributes } = {}) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  /** A bar filled to `part`, from 0 to 1. SVG, because the policy forbids style attributes. */
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

  /** Show the card's text for missing data. */
  function showEmpty(card) {
    for (const child of [...card.children]) {
      if (!child.matches("h3")) child.remove();
    }
    card.append(make("p", { className: "empty", text: card.dataset.empty }));
  }

  return { make, bar, showEmpty };
})();
