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

  /** Show the card's text for missing data. */
  function showEmpty(card) {
    for (const child of [...card.children]) {
      if (!child.matches("h3")) child.remove();
    }
    card.append(make("p", { className: "empty", text: card.dataset.empty }));
  }

  return { make, showEmpty };
})();
