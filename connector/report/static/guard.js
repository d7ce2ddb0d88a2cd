"use strict";

// The page's policy keeps texts from becoming markup. Vega empties elements by `innerHTML = ""`;
// only that is allowed.
globalThis.trustedTypes?.createPolicy("default", {
  createHTML(text) {
    if (text !== "") throw new TypeError("no text becomes markup in this page");
    return text;
  },
});
