"use strict";

// The page's policy bars texts from becoming markup. Vega empties elements by `innerHTML = ""`:
// that, and nothing else, is let through.
globalThis.trustedTypes?.createPolicy("default", {
  createHTML(text) {
    if (text !== "") throw new TypeError("no text becomes markup in this page");
    return text;
  },
});
