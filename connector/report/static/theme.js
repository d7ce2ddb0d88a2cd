"use strict";

/** Light or dark: the system's choice until the reader makes one. */
const Theme = (() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const listeners = [];
  let chosen = remembered();

  // A file opened from disk may have no storage; then the choice lasts until the page closes.
  function remembered() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  function remember(name) {
    try {
      localStorage.setItem("theme", name);
    } catch {
      // See above.
    }
  }

  function apply() {
    const isDark = chosen ? chosen === "dark" : system.matches;
    root.dataset.theme = isDark ? "dark" : "light";
    button.textContent = isDark ? "☀ Light" : "☾ Dark";
    listeners.forEach((listener) => listener());
  }

  button.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    remember(chosen);
    apply();
  });
  system.addEventListener("change", apply);
  apply();

  return {
    onChange: (listener) => listeners.push(listener),
    colour: (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim(),
  };
})();
